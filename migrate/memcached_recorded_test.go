package migrate

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"cairn/memcachedfront/recorded"
)

// recordedSessions are what the recorded source held.
var recordedSessions = map[string]sent{
	"plain": {"v", 0, 3000}, "forever": {"x\r\ny", 7, 0}, "empty": {"", 1<<32 - 1, 3000}, "percent%41&=": {"z", 5, 3000},
	"a key": {"of two words", 1, 3000}, "\x00\xff\n": {"binary", 2, 0}, strings.Repeat("k", 250): {"long", 0, 3000},
}

const fillRecorded = "set plain 0 3000 1\r\nv\r\nset forever 7 0 4\r\nx\r\ny\r\nset empty 4294967295 3000 0\r\n\r\n" +
	"set percent%41&= 5 3000 1\r\nz\r\nms YSBrZXk= 12 b F1 T3000\r\nof two words\r\nms AP8K 6 b F2\r\nbinary\r\n"

// TestMemcachedRecorded imports from a server that says what memcached 1.6.45 said
// to an import.
func TestMemcachedRecorded(t *testing.T) {
	path := recorded.Path("import")
	if recorded.Program() != "" {
		recordImport(t, path)
	}
	exchanges, err := recorded.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	addr := scripted(t, scriptOf(exchanges)...)
	got, total, summary := collect(t, func(emit Emit) (Summary, error) { return Memcached(t.Context(), addr, Options{}, emit) })
	compare(t, got, recordedSessions)
	if total != int64(len(recordedSessions)) || summary != (Summary{}) {
		t.Errorf("total %d, %+v", total, summary)
	}
}

// recordImport fills a memcached and takes down an import from it.
func recordImport(t *testing.T, path string) {
	addr := startServer(t, recorded.Program(), func(port string) []string {
		return []string{"-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0"}
	})
	talk(t, addr, fillRecorded+"set "+strings.Repeat("k", 250)+" 0 3000 4\r\nlong\r\n", len(recordedSessions))
	r := relay{t: t, to: addr}
	none := func(int64, *Record) error { return nil }
	if _, err := Memcached(t.Context(), r.listen(), Options{}, none); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := recorded.Write(path, r.exchanges); err != nil {
		t.Fatal(err)
	}
}

// relay takes down what one client and a server say to each other, in turn.
type relay struct {
	t  *testing.T
	to string

	mu        sync.Mutex
	exchanges []recorded.Exchange
}

// listen returns the address that the client connects to.
func (r *relay) listen() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ln.Close() })
	go func() {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", r.to)
		if err != nil {
			return
		}
		defer server.Close()
		go io.Copy(io.MultiWriter(note(r.asked), server), client)
		io.Copy(io.MultiWriter(note(r.answered), client), server)
	}()
	return ln.Addr().String()
}

// note is a writer that passes on what is written.
type note func(said string)

func (n note) Write(p []byte) (int, error) {
	n(string(p))
	return len(p), nil
}

func (r *relay) asked(said string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(r.exchanges) - 1; last >= 0 && r.exchanges[last].Answer == "" {
		r.exchanges[last].Request += said
		return
	}
	r.exchanges = append(r.exchanges, recorded.Exchange{Request: said})
}

func (r *relay) answered(said string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exchanges[len(r.exchanges)-1].Answer += said
}

// scriptOf makes a script of a recording: the last line of each request is answered,
// those before it are not.
func scriptOf(exchanges []recorded.Exchange) (script []step) {
	for _, e := range exchanges {
		lines := strings.Split(strings.TrimSuffix(e.Request, "\r\n"), "\r\n")
		for i, line := range lines {
			answer := ""
			if i == len(lines)-1 {
				answer = e.Answer
			}
			script = append(script, step{line, []string{answer}})
		}
	}
	return script
}
