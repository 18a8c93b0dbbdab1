package memcachedfront_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/memcachedfront"
	"cairn/serve"
	"cairn/session"
	"cairn/session/sessiontest"
)

// modelInspector makes a model look like a store that can be inspected.
type modelInspector struct {
	*sessiontest.Model
	scanning chan struct{} // if not nil, Scan tells that it began, then waits to go on
}

func (m modelInspector) Stats() session.Stats {
	return session.Stats{Items: int64(len(m.Items(wallClock{}.Now()))), Bytes: 12345}
}

func (m modelInspector) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	items := m.Items(wallClock{}.Now())
	slices.SortFunc(items, func(a, b session.Item) int { return bytes.Compare(a.Key, b.Key) })
	if m.scanning != nil {
		m.scanning <- struct{}{}
		<-m.scanning
	}
	for i := range items {
		if bytes.HasPrefix(items[i].Key, prefix) && !fn(&items[i]) {
			return nil
		}
	}
	return ctx.Err()
}

// inspectable gives the server a model that can be inspected.
func inspectable(o *memcachedfront.Options) {
	m := sessiontest.NewModel(0)
	o.Store, o.Inspector = m, modelInspector{Model: m}
}

// expect reads exactly what is expected.
func expect(t testing.TB, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(from, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

// await waits until something holds that the server's goroutines bring about.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func send(t testing.TB, to io.Writer, what string) {
	t.Helper()
	if _, err := io.WriteString(to, what); err != nil {
		t.Fatal(err)
	}
}

func TestAdministration(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) {
		inspectable(o)
		o.Nodes = []string{"10.0.0.1:11211", "cache.example:11311", "plain"}
		o.SetMemoryLimit = func(bytes int64) error {
			if bytes > 1<<30 {
				return io.ErrShortBuffer
			}
			return nil
		}
	})
	for says, want := range map[string]string{
		"version\r\n":                         "VERSION 1.6.45\r\n",
		"verbosity 1\r\nverbosity x\r\n":      "OK\r\nCLIENT_ERROR bad command line format\r\n",
		"cache_memlimit 64\r\n":               "OK\r\n",
		"cache_memlimit 4\r\n":                "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
		"cache_memlimit 100000\r\n":           "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n",
		"cache_memlimit 64 noreply\r\nmn\r\n": "MN\r\n",
		"shutdown\r\n":                        "SERVER_ERROR: shutdown not enabled\r\n",
		"flush_all\r\nflush_all 0\r\nflush_all x\r\nflush_all 0 noreply\r\nflush_all noreply\r\nmn\r\n": "OK\r\nOK\r\nCLIENT_ERROR invalid exptime argument\r\nMN\r\n",
		"slabs reassign 1 2\r\nslabs automove 1\r\nslabs automove 7\r\nslabs\r\n":                       "NOSPARE source class has no spare pages\r\nOK\r\nERROR\r\nERROR\r\n",
		"lru_crawler enable\r\nlru_crawler crawl all\r\nlru_crawler crawl x\r\nlru_crawler\r\n":         "OK\r\nOK\r\nBADCLASS invalid class id\r\nERROR\r\n",
		"stats reset\r\nstats nothing\r\n":                                                              "RESET\r\nERROR\r\n",
		"stats cachedump 1 0\r\nstats cachedump\r\nstats cachedump 99 0\r\n":                            "END\r\nCLIENT_ERROR bad command line\r\nCLIENT_ERROR Illegal slab id\r\n",
		"stats sizes\r\n":        "STAT sizes_status disabled\r\nEND\r\n",
		"refresh_certs\r\n":      "Error TLS not enabled\r\n",
		"quit\r\nversion\r\n":    "",
		"GET / HTTP/1.1\r\n":     "",
		"watch nothing\r\n":      "ERROR\r\n",
		"config get cluster\r\n": "CONFIG cluster 0 71\r\n1\n10.0.0.1|10.0.0.1|11211 cache.example||11311 plain||11211\n\r\nEND\r\n",
		"config get other\r\n":   "ERROR\r\n",
	} {
		if got := converse(t, address, says); got != want && !strings.Contains(says, "config get cluster") {
			t.Errorf("%q:\ngot  %q\nwant %q", says, got, want)
		} else if strings.Contains(says, "config get cluster") && !strings.HasSuffix(got, want[strings.Index(want, "\r\n"):]) {
			t.Errorf("%q:\ngot  %q\nwant %q", says, got, want)
		}
	}
}

// TestLiveNodes lets discovery answer nodes that come and go.
func TestLiveNodes(t *testing.T) {
	var now atomic.Pointer[[]string]
	now.Store(new([]string))
	address := startServer(t, func(o *memcachedfront.Options) {
		o.LiveNodes = func() ([]string, int64) { return *now.Load(), 1_800_000_003 - int64(len(*now.Load())) }
	})
	if got := converse(t, address, "config get cluster\r\n"); got != "ERROR\r\n" {
		t.Errorf("without nodes: %q", got)
	}
	now.Store(&[]string{"10.0.0.1:11211", "10.0.0.2:11211"})
	want := "1800000001\n10.0.0.1|10.0.0.1|11211 10.0.0.2|10.0.0.2|11211\n"
	want = fmt.Sprintf("CONFIG cluster 0 %d\r\n%s\r\nEND\r\n", len(want), want)
	if got := converse(t, address, "config get cluster\r\n"); got != want {
		t.Errorf("two nodes: %q", got)
	}
	now.Store(&[]string{"10.0.0.2:11211"})
	expectPackets(t, address, request(0x60, "cluster", ""), "60 0 \x00\x00\x00\x001800000002\n10.0.0.2|10.0.0.2|11211\n")
	if got := converse(t, address, "config get cluster\r\n"); !strings.Contains(got, "\r\n1800000002\n10.0.0.2|10.0.0.2|11211\n") {
		t.Errorf("one node: %q", got)
	}
	named := startServer(t, func(o *memcachedfront.Options) {
		o.Nodes = []string{"named:1"}
		o.LiveNodes = func() ([]string, int64) { return []string{"live:1"}, 7 }
	})
	if got := converse(t, named, "config get cluster\r\n"); !strings.Contains(got, "\r\n1\nnamed||1\n") {
		t.Errorf("those that were named: %q", got)
	}
}

func TestDisabledCommands(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) {
		inspectable(o)
		o.Flush, o.DisableDump, o.DisableWatch = memcachedfront.RefuseFlush, true, true
	})
	got := converse(t, address, "set a 0 0 1\r\nx\r\nflush_all\r\nlru_crawler metadump all\r\nlru_crawler mgdump all\r\nstats cachedump 1 0\r\nwatch\r\nget a\r\n")
	want := "STORED\r\nCLIENT_ERROR flush_all not allowed\r\nERROR metadump not allowed\r\nERROR key dump not allowed\r\n" +
		"CLIENT_ERROR stats cachedump not allowed\r\nCLIENT_ERROR watch commands not allowed\r\nVALUE a 0 1\r\nx\r\nEND\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestShutdownCommand(t *testing.T) {
	requested := make(chan bool, 3)
	address := startServer(t, func(o *memcachedfront.Options) {
		o.RequestShutdown = func(graceful bool) { requested <- graceful }
	})
	for says, want := range map[string]string{"shutdown now\r\n": "CLIENT_ERROR invalid shutdown mode\r\n", "shutdown graceful\r\n": ""} {
		if got := converse(t, address, says); got != want {
			t.Errorf("%q: got %q, want %q", says, got, want)
		}
	}
	if graceful := <-requested; !graceful {
		t.Error("a graceful shutdown was requested as an immediate one")
	}
	converse(t, address, "shutdown\r\n")
	if graceful := <-requested; graceful {
		t.Error("an immediate shutdown was requested as a graceful one")
	}
}

// statistics returns the lines of a stats answer by name.
func statistics(t *testing.T, address, group string) map[string]string {
	t.Helper()
	stats := map[string]string{}
	lines := strings.Split(converse(t, address, "stats"+group+"\r\n"), "\r\n")
	if lines[len(lines)-2] != "END" {
		t.Fatalf("stats%s does not end in END: %q", group, lines)
	}
	for _, line := range lines[:len(lines)-2] {
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "STAT "), " ")
		stats[name] = value
	}
	return stats
}

func TestStats(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) {
		inspectable(o)
		o.ConnLimit, o.MemoryLimit, o.IdleTimeout = 77, 1<<26, time.Minute
		o.Settings = func() [][2]string { return [][2]string{{"data_dir", "/somewhere"}} }
	})
	converse(t, address, "set a 0 0 1\r\nx\r\nget a b c\r\ntouch a 0\r\ntouch b 0\r\ngat 0 a\r\nincr a 1\r\nset n 0 0 1\r\n1\r\nincr n 1\r\ndecr x 1\r\n"+
		"cas a 0 0 1 1\r\ny\r\ncas a 0 0 1 1\r\ny\r\ncas b 0 0 1 1\r\ny\r\ndelete a\r\ndelete a\r\nmg n v\r\nset big 0 0 20000000\r\n"+strings.Repeat("x", 20_000_000)+"\r\n")
	got := statistics(t, address, "")
	for name, want := range map[string]string{
		"cmd_get": "4", "get_hits": "2", "get_misses": "2", "cmd_set": "5", "cmd_touch": "3", "touch_hits": "2", "touch_misses": "1",
		"incr_hits": "1", "incr_misses": "0", "decr_misses": "1", "cas_hits": "1", "cas_badval": "1", "cas_misses": "1",
		"delete_hits": "1", "delete_misses": "1", "cmd_meta": "1", "store_too_large": "1", "cmd_flush": "0",
		"max_connections": "77", "curr_items": "1", "bytes": "12345", "limit_maxbytes": "67108864",
		"version": "1.6.45", "accepting_conns": "1",
	} {
		if got[name] != want {
			t.Errorf("stats: %s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"pid", "uptime", "time", "rusage_user", "threads", "bytes_read", "bytes_written", "evictions", "curr_connections", "total_connections"} {
		if got[name] == "" {
			t.Errorf("stats: no %s", name)
		}
	}
	settings := statistics(t, address, " settings")
	for name, want := range map[string]string{
		"maxconns": "77", "maxbytes": "67108864", "item_size_max": "8388608", "idle_timeout": "60", "inter": "127.0.0.1",
		"shutdown_command": "no", "cas_enabled": "yes", "data_dir": "/somewhere", "domain_socket": "NULL",
	} {
		if settings[name] != want {
			t.Errorf("stats settings: %s is %q, want %q", name, settings[name], want)
		}
	}
	if items := statistics(t, address, " items"); items["items:1:number"] != "1" {
		t.Errorf("stats items: %v", items)
	}
	if slabs := statistics(t, address, " slabs"); slabs["active_slabs"] != "1" {
		t.Errorf("stats slabs: %v", slabs)
	}
	conns := statistics(t, address, " conns")
	if conns["0:state"] != "conn_listening" || conns["0:addr"] != "tcp:"+address || len(conns) < 7 {
		t.Errorf("stats conns: %v", conns)
	}
	converse(t, address, "stats reset\r\n")
	if got := statistics(t, address, "")["cmd_get"]; got != "0" {
		t.Errorf("cmd_get after a reset is %s", got)
	}
}

func TestStatsDetail(t *testing.T) {
	address := startServer(t, nil)
	got := converse(t, address, "get before:1\r\nstats detail on\r\nset foo:1 0 0 1\r\na\r\nget foo:1 foo:2 bar\r\ndelete foo:1\r\nget x:1\r\n"+
		"stats detail off\r\nget foo:1\r\nstats detail dump\r\n")
	want := "END\r\nOK\r\nSTORED\r\nVALUE foo:1 0 1\r\na\r\nEND\r\nDELETED\r\nEND\r\nOK\r\nEND\r\n" +
		"PREFIX foo get 2 hit 1 set 1 del 1\r\nPREFIX x get 1 hit 0 set 0 del 0\r\nEND\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDumps(t *testing.T) {
	address := startServer(t, inspectable)
	converse(t, address, "set a 5 0 3\r\nabc\r\nms YSBi 2 b T1000\r\nhi\r\n")
	meta := strings.Split(converse(t, address, "version\r\nlru_crawler metadump all\r\nget a\r\n"), "\n")
	if len(meta) != 9 || meta[0] != "VERSION 1.6.45\r" || meta[1] != "OK\r" || meta[4] != "END\r" || meta[5] != "VALUE a 5 3\r" {
		t.Fatalf("metadump: %q", meta)
	}
	meta = meta[1:]
	if !strings.HasPrefix(meta[1], "key=a exp=-1 la=") || !strings.HasSuffix(meta[1], " cas=1 fetch=no cls=1 size=4 flags=5 ") {
		t.Errorf("metadump: %q", meta[1])
	}
	if !strings.HasPrefix(meta[2], "key=a%20b exp=1") {
		t.Errorf("metadump: %q", meta[2])
	}
	for says, want := range map[string]string{
		"lru_crawler mgdump hash\r\n":    "OK\r\nmg a\r\nmg YSBi b\r\nEN\r\n",
		"lru_crawler mgdump 1,2\r\n":     "OK\r\nmg a\r\nmg YSBi b\r\nEN\r\n",
		"lru_crawler mgdump 2\r\nmn\r\n": "OK\r\nEN\r\nMN\r\n",
		"lru_crawler metadump x\r\n":     "BADCLASS invalid class id\r\n",
	} {
		if got := converse(t, address, says); got != want {
			t.Errorf("%q: %q, want %q", says, got, want)
		}
	}
}

// While a dump is under way others write, and the one who asked for it waits.
func TestDumpBlocksNobody(t *testing.T) {
	m := sessiontest.NewModel(0)
	inspector := modelInspector{Model: m, scanning: make(chan struct{})}
	address := startServer(t, func(o *memcachedfront.Options) { o.Store, o.Inspector = m, inspector })
	converse(t, address, "set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\n")
	dumping := dial(t, "tcp", address)
	send(t, dumping, "lru_crawler mgdump all\r\n")
	<-inspector.scanning
	if got := converse(t, address, "set c 0 0 1\r\nx\r\nget a\r\n"); got != "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n" {
		t.Errorf("during a dump: %q", got)
	}
	close(inspector.scanning)
	expect(t, dumping, "OK\r\nmg a\r\nmg b\r\nEN\r\n")
}

func TestWatch(t *testing.T) {
	address := startServer(t, nil)
	watcher := dial(t, "tcp", address)
	send(t, watcher, "watch fetchers mutations deletions connevents\r\n")
	expect(t, watcher, "OK\r\n")
	client := dial(t, "tcp", address)
	for _, step := range [][2]string{
		{"set a%20 0 100 1\r\nx\r\n", "STORED\r\n"},
		{"get a%20 nope\r\n", "VALUE a%20 0 1\r\nx\r\nEND\r\n"},
		{"add a%20 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
		{"append a%20 0 0 2\r\nyz\r\n", "STORED\r\n"},
		{"incr n 1\r\n", "NOT_FOUND\r\n"},
		{"delete nope\r\n", "NOT_FOUND\r\n"},
		{"delete a%20\r\n", "DELETED\r\n"},
	} {
		send(t, client, step[0])
		expect(t, client, step[1])
	}
	client.Close()
	lines := bufio.NewScanner(watcher)
	for _, want := range []string{
		" type=conn_new rip=127.0.0.1 rport=",
		" type=item_store key=a%2520 status=stored cmd=set ttl=100 ",
		" type=item_get key=a%2520 status=found ",
		" type=item_get key=nope status=not_found ",
		" type=item_store key=a%2520 status=not_stored cmd=add ttl=0 ",
		" type=item_store key=a%2520 status=stored cmd=append ttl=100 clsid=1 cfd=2 size=3",
		" type=item_store key=n status=not_found cmd=incr ",
		" type=deleted key=a%2520 cmd=delete clsid=1 cfd=2 size=3",
		" type=conn_close rip=127.0.0.1 rport=",
	} {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		if line := lines.Text(); !strings.HasPrefix(line, "ts=") || !strings.Contains(line, " gid=") || !strings.Contains(line, want) {
			t.Errorf("%q does not contain %q", line, want)
		}
	}
}

// Over the limit a client is told so and closed; those of this machine have
// reserved places.
func TestConnLimit(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) { o.ConnLimit, o.ReservedConns = 2, 1 })
	for range 3 {
		c := dial(t, "tcp", address)
		send(t, c, "mn\r\n")
		expect(t, c, "MN\r\n")
	}
	refused := dial(t, "tcp", address)
	if got, err := io.ReadAll(refused); string(got) != "ERROR Too many open connections\r\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestIdleTimeout(t *testing.T) {
	s, address := serverWith(t, func(o *memcachedfront.Options) { o.IdleTimeout = 50 * time.Millisecond })
	if got, err := io.ReadAll(dial(t, "tcp", address)); len(got) > 0 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	s.EachStat(func(name, value string) {
		if name == "idle_kicks" && value != "1" {
			t.Errorf("idle_kicks is %s", value)
		}
	})
}

// A client that goes in the middle of a value changes nothing.
func TestDisconnectInTheMiddle(t *testing.T) {
	address := startServer(t, nil)
	converse(t, address, "set a 0 0 3\r\nold\r\nset b 0 0 3\r\nold\r\n")
	for _, begun := range []string{"set a 0 0 3\r\nne", "set a 0 0 3\r\nnew", "set a 0 0 3\r\nnew\r", "ms a 5 T0\r\n", "set a 0 0 1000000\r\nxxx"} {
		converse(t, address, begun)
		if got := converse(t, address, "get a b\r\n"); got != "VALUE a 0 3\r\nold\r\nVALUE b 0 3\r\nold\r\nEND\r\n" {
			t.Fatalf("after %q: %q", begun, got)
		}
	}
}

// An announced gigabyte is swallowed without being kept, and the connection
// goes on behind it.
func TestHugeValueIsSwallowed(t *testing.T) {
	address := startServer(t, nil)
	converse(t, address, "set a 0 0 3\r\nold\r\n")
	c := dial(t, "tcp", address)
	const length = 256 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	send(t, c, fmt.Sprintf("set a 0 0 %d\r\n", length))
	piece := bytes.Repeat([]byte("get a\r\n"), 150_000)
	for sent := 0; sent < length; sent += len(piece) {
		if _, err := c.Write(piece[:min(len(piece), length-sent)]); err != nil {
			t.Fatal(err)
		}
	}
	send(t, c, "\r\nget a\r\n")
	expect(t, c, "SERVER_ERROR object too large for cache\r\nVALUE a 0 3\r\nold\r\nEND\r\n")
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > length/2 {
		t.Errorf("%d bytes were allocated to swallow %d", grown, length)
	}
}

// A client that announces large values and never sends them costs the server
// next to nothing.
func TestAnnouncedValuesCostNoMemory(t *testing.T) {
	address := startServer(t, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const clients = 100
	for range clients {
		c := dial(t, "tcp", address)
		send(t, c, "mn\r\nset a 0 0 8000000\r\nx")
		expect(t, c, "MN\r\n")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if per := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / clients; per > 200<<10 {
		t.Errorf("%d bytes per client", per)
	}
}

// A client that pipelines without end and never reads holds up nobody else.
func TestClientThatNeverReads(t *testing.T) {
	address := startServer(t, nil)
	converse(t, address, "set big 0 0 100000\r\n"+strings.Repeat("x", 100_000)+"\r\n")
	greedy := dial(t, "tcp", address)
	go func() {
		for i := 0; i < 1_000_000; i++ {
			if _, err := io.WriteString(greedy, "get big big big big\r\n"); err != nil {
				return
			}
		}
	}()
	for range 20 {
		if got := converse(t, address, "get small\r\n"); got != "END\r\n" {
			t.Fatalf("%q", got)
		}
	}
	greedy.Close()
}

func TestOneByteAtATime(t *testing.T) {
	address := startServer(t, nil)
	c := dial(t, "tcp", address)
	for _, b := range "set a 0 0 3\r\nabc\r\nget a\r\n" {
		send(t, c, string(b))
	}
	expect(t, c, "STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n")
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cairn.sock")
	startServer(t, func(o *memcachedfront.Options) {
		o.Addresses = []serve.Address{{Network: "unix", Addr: path, Mode: 0o660}}
	})
	c := dial(t, "unix", path)
	send(t, c, "set a 0 0 1\r\nx\r\nget a\r\n")
	expect(t, c, "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
	if _, err := memcachedfront.Listen(memcachedfront.Options{Options: serve.Options{
		Store: sessiontest.NewModel(0), Clock: wallClock{}, Addresses: []serve.Address{{Network: "unix", Addr: path}},
	}}); err == nil {
		t.Error("a socket in use was taken over")
	}
}

// slowStore takes its time over every burst.
type slowStore struct {
	session.Store
	entered, leave chan struct{}
}

func (s slowStore) Try(b *session.Burst) bool { return s.entered == nil && s.Store.Try(b) }

func (s slowStore) Apply(b *session.Burst, to session.Completer) {
	go func() {
		if s.entered != nil {
			s.entered <- struct{}{}
			<-s.leave
		}
		s.Store.Apply(b, to)
	}()
}

// A shutdown lets a burst in flight finish and its answer go out.
func TestShutdownFinishesBursts(t *testing.T) {
	store := slowStore{Store: sessiontest.NewModel(0), entered: make(chan struct{}), leave: make(chan struct{})}
	s, err := memcachedfront.Listen(memcachedfront.Options{Options: serve.Options{
		Store: store, Clock: wallClock{}, Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
		Blocking: blocking,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(context.Background()) })
	busy, idle := dial(t, "tcp", s.Addrs()[0].String()), dial(t, "tcp", s.Addrs()[0].String())
	send(t, busy, "set a 0 0 1\r\nx\r\n")
	<-store.entered
	stopped := make(chan error)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	if got, err := io.ReadAll(idle); len(got) > 0 || err != nil {
		t.Errorf("the idle client got %q, %v", got, err)
	}
	if _, err := net.Dial("tcp", s.Addrs()[0].String()); err == nil {
		t.Error("a client could still connect")
	}
	close(store.leave)
	if got, err := io.ReadAll(busy); string(got) != "STORED\r\n" || err != nil {
		t.Errorf("the busy client got %q, %v", got, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	serving.Wait()
}

// A shutdown does not wait for ever for a client that does not read.
func TestShutdownIsNotHeldUp(t *testing.T) {
	s, err := memcachedfront.Listen(memcachedfront.Options{Options: serve.Options{
		Store: sessiontest.NewModel(0), Clock: wallClock{}, Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
		Blocking: blocking,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(context.Background()) })
	c := dial(t, "tcp", s.Addrs()[0].String())
	send(t, c, "set big 0 0 8000000\r\n"+strings.Repeat("x", 8_000_000)+"\r\n")
	expect(t, c, "STORED\r\n")
	send(t, c, strings.Repeat("get big\r\n", 100))
	expect(t, c, "VALUE big")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("Shutdown: %v", err)
	}
	serving.Wait()
}

// A store that fails is told to the client, who keeps the connection.
func TestStoreFailures(t *testing.T) {
	for _, test := range []struct {
		err  error
		line string
	}{
		{session.ErrNoSpace, "SERVER_ERROR out of memory storing object\r\n"},
		{session.ErrClosed, "SERVER_ERROR storage failure\r\n"},
	} {
		address := startServer(t, func(o *memcachedfront.Options) { o.Store = failingStore{test.err} })
		requests := []string{"set a 0 0 1\r\nx\r\n", "get a b\r\n", "incr a 1\r\n", "delete a\r\n", "touch a 0\r\n", "mg a v\r\n", "ms a 1\r\nx\r\n", "md a\r\n", "ma a\r\n", "me a\r\n", "flush_all\r\n"}
		got := converse(t, address, strings.Join(requests, "")+"set a 0 0 1 noreply\r\nx\r\nmn\r\n")
		if want := strings.Repeat(test.line, len(requests)) + "MN\r\n"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestBlocking runs the tests that depend on how connections are served again,
// with a goroutine for each connection.
func TestBlocking(t *testing.T) {
	blocking = true
	defer func() { blocking = false }()
	t.Setenv("CAIRN_DIFFERENTIAL_COMMANDS", "5000")
	for name, test := range map[string]func(*testing.T){
		"Administration":            TestAdministration,
		"ShutdownCommand":           TestShutdownCommand,
		"Stats":                     TestStats,
		"Dumps":                     TestDumps,
		"DumpBlocksNobody":          TestDumpBlocksNobody,
		"Watch":                     TestWatch,
		"ConnLimit":                 TestConnLimit,
		"IdleTimeout":               TestIdleTimeout,
		"DisconnectInTheMiddle":     TestDisconnectInTheMiddle,
		"HugeValueIsSwallowed":      TestHugeValueIsSwallowed,
		"AnnouncedValues":           TestAnnouncedValuesCostNoMemory,
		"ClientThatNeverReads":      TestClientThatNeverReads,
		"OneByteAtATime":            TestOneByteAtATime,
		"UnixSocket":                TestUnixSocket,
		"ShutdownFinishesBursts":    TestShutdownFinishesBursts,
		"ShutdownIsNotHeldUp":       TestShutdownIsNotHeldUp,
		"Connections":               TestConnections,
		"TextDifferential":          TestTextDifferential,
		"IdleConnectionsCostLittle": TestIdleConnectionsCostLittle,
	} {
		t.Run(name, test)
	}
}
