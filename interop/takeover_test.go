package interop

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var takeovers = flag.Int("takeovers", 10, "how often the server changes its process in TestTakeover")

// One process of the server takes over from another, again and again, while
// clients of every kind count in sessions. None of them sees an error or a
// connection that closes, and nobody's count is ever behind: no write that was
// acknowledged is lost.
func TestTakeover(t *testing.T) {
	needModule(t, "pymemcache")
	need(t, "php")
	if *peer != "" {
		t.Skip("memcached has no takeover")
	}
	admin, pidFile := freeAddress(t), filepath.Join(t.TempDir(), "pid")
	srv := startServer(t, "--http-listen", admin, "-P", pidFile)
	f := &family{t: t, pidFile: pidFile}
	t.Cleanup(f.end)

	counters := append(valueCounters(t, srv), phpCounter(t, srv))
	for _, c := range counters {
		if err := c.count(); err != nil {
			t.Fatal(err)
		}
		c.longest = 0 // that was the client's start
	}
	before := connections(t, admin)
	if len(before) < len(counters) {
		t.Fatalf("%d clients have the connections %v", len(counters), before)
	}
	// PHP's web server connects anew for each request.
	visitor, url := newVisitor(t), startPHP(t, srv).start(long)
	counters = append(counters, &counter{name: "PHP sessions", visit: func() (int, error) { return visitor.try(url) }})

	stop := make(chan struct{})
	var clients sync.WaitGroup
	for _, c := range counters {
		clients.Go(func() { c.run(t, stop) })
	}
	for range *takeovers {
		f.succeed(counters)
	}
	close(stop)
	clients.Wait()
	after := connections(t, admin)
	for id, client := range before {
		if after[id] != client {
			t.Errorf("connection %s of %s was closed", id, client)
		}
	}
	for _, c := range counters {
		t.Logf("%s: %d requests, the longest took %v", c.name, c.counted.Load(), c.longest.Round(time.Millisecond))
	}
}

// counter is a client that counts in a session of its own.
type counter struct {
	name     string
	question string
	dialogue *process
	visit    func() (int, error) // instead of a dialogue

	counted atomic.Int64
	longest time.Duration
	failed  atomic.Bool
}

// count counts one further, and insists on that.
func (c *counter) count() error {
	began := time.Now()
	n, err := c.next()
	c.longest = max(c.longest, time.Since(began))
	if err != nil {
		return fmt.Errorf("%s after %d: %w", c.name, c.counted.Load(), err)
	}
	if want := c.counted.Add(1); int64(n) != want {
		return fmt.Errorf("%s counted %d, want %d", c.name, n, want)
	}
	return nil
}

func (c *counter) next() (int, error) {
	if c.visit != nil {
		return c.visit()
	}
	answer, err := c.ask(c.question)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(answer)
	if err != nil {
		return 0, fmt.Errorf("answer %q", answer)
	}
	return n, nil
}

// ask returns what the client answers in its dialogue.
func (c *counter) ask(question string) (answer string, err error) {
	if _, err := io.WriteString(c.dialogue.in, question+"\n"); err != nil {
		return "", err
	}
	answer, err = c.dialogue.line.ReadString('\n')
	return strings.TrimSpace(answer), err
}

func (c *counter) run(t *testing.T, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if err := c.count(); err != nil {
			c.failed.Store(true)
			t.Error(err)
			return
		}
	}
}

// family is one process of a server after the other.
type family struct {
	t       *testing.T
	pidFile string
}

func (f *family) pid() int {
	text, _ := os.ReadFile(f.pidFile)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// succeed lets the next process take over while all counters count.
func (f *family) succeed(counters []*counter) {
	f.t.Helper()
	f.awaitProgress(counters)
	before := f.pid()
	if before == 0 {
		f.t.Fatal("no process serves")
	}
	syscall.Kill(before, syscall.SIGUSR2)
	f.await("there is a successor", func() bool { return f.pid() != before && f.pid() != 0 })
}

func (f *family) awaitProgress(counters []*counter) {
	f.t.Helper()
	for _, c := range counters {
		goal := c.counted.Load() + 20
		f.await(c.name+" counts", func() bool { return c.counted.Load() >= goal || c.failed.Load() })
	}
}

func (f *family) await(what string, reached func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// end stops the last process, which is a child of this one.
func (f *family) end() {
	pid := f.pid()
	if pid == 0 {
		return
	}
	syscall.Kill(pid, syscall.SIGTERM)
	f.await("the last process ends", func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

// connections returns the clients' addresses by the numbers of their connections.
func connections(t *testing.T, admin string) map[string]string {
	t.Helper()
	reply, err := http.Get("http://" + admin + "/v1/connections")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var list struct {
		Connections []struct {
			ID     string `json:"id"`
			Client string `json:"client"`
		} `json:"connections"`
	}
	if err := json.NewDecoder(reply.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	byID := map[string]string{}
	for _, c := range list.Connections {
		byID[c.ID] = c.Client
	}
	return byID
}
