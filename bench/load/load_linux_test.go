package load_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/bench/dialect"
	"cairn/bench/load"
	"cairn/bench/peer"
)

// script is a flow that plays exchanges once and checks each answer against
// what is expected of it.
type script struct {
	exchanges [][]load.Op
	want      []string
	got       []string
	inTurn    bool
}

func (s *script) Next(ops []load.Op) []load.Op {
	if len(s.exchanges) == 0 || s.inTurn && len(s.exchanges)%2 == 0 {
		s.inTurn = false
		return ops
	}
	s.inTurn = true
	ops = append(ops, s.exchanges[0]...)
	s.exchanges = s.exchanges[1:]
	return ops
}

func (s *script) Check(op *load.Op, a load.Answer) bool {
	outcome := [...]string{"done", "absent", "refused"}[a.Outcome]
	answer := strings.TrimSpace(fmt.Sprintf("%v %d %s %s", op.Kind, a.Item, outcome, a.Value))
	if op.Kind != load.Get && op.Kind != load.GetMulti {
		answer = fmt.Sprintf("%v %d %s", op.Kind, a.Item, outcome)
	}
	s.got = append(s.got, answer)
	return len(s.got) <= len(s.want) && s.want[len(s.got)-1] == answer
}

func newScript(prefix string) *script {
	key := func(name string) []byte { return []byte(prefix + name) }
	large := []byte(strings.Repeat("v", 300_000)) // more than a socket or a buffer takes at once
	return &script{
		exchanges: [][]load.Op{
			{{Kind: load.Get, Key: key("a")}, {Kind: load.Set, Key: key("a"), Value: []byte("1"), Exptime: 100}, {Kind: load.Get, Key: key("a")}},
			{{Kind: load.Add, Key: key("a"), Value: []byte("2"), Exptime: 100}, {Kind: load.Add, Key: key("b"), Value: []byte("2"), Exptime: 2_100_000_000}},
			{{Kind: load.GetMulti, Keys: [][]byte{key("x"), key("a"), key("y"), key("b"), key("z")}}, {Kind: load.Get, Key: key("b")}},
			{{Kind: load.Touch, Key: key("a"), Exptime: 50}, {Kind: load.Touch, Key: key("x"), Exptime: 50}},
			{{Kind: load.Delete, Key: key("a")}, {Kind: load.Delete, Key: key("a")}, {Kind: load.GetMulti, Keys: [][]byte{key("a")}}},
			{{Kind: load.Set, Key: key("l"), Value: large}, {Kind: load.Get, Key: key("l")}, {Kind: load.Get, Key: key("a")}},
		},
		want: []string{
			"get 0 absent", "set 0 done", "get 0 done 1",
			"add 0 absent", "add 0 done",
			"multiget 0 absent", "multiget 1 done 1", "multiget 2 absent", "multiget 3 done 2", "multiget 4 absent", "get 0 done 2",
			"touch 0 done", "touch 0 absent",
			"delete 0 done", "delete 0 absent", "multiget 0 absent",
			"set 0 done", "get 0 done " + string(large), "get 0 absent",
		},
	}
}

// The same script must give the same answers from every server in every
// protocol that it speaks, and through the ordinary client.
func TestAnswersOfRealServers(t *testing.T) {
	for _, name := range []string{"memcached", "redis-everysec", "yrmcds"} {
		spec, err := peer.ParseSpec(name)
		if err != nil {
			t.Fatal(err)
		}
		server := startServer(t, spec)
		for _, dialect := range []string{"text", "meta", "binary"} {
			newDialect, err := spec.Dialect(dialect)
			if err != nil || !spec.SpeaksMemcached() && dialect != "text" {
				continue // yrmcds knows no meta commands, Redis only its own protocol
			}
			t.Run(name+"/"+dialect, func(t *testing.T) {
				checkScripts(t, load.Run, load.Options{Address: server.Address, Dialect: newDialect, Workers: 2})
			})
		}
		if spec.SpeaksMemcached() {
			t.Run(name+"/ordinary", func(t *testing.T) {
				checkScripts(t, load.RunOrdinary, load.Options{Address: server.Address})
			})
		}
	}
}

type runner func(context.Context, load.Options) (*load.Result, error)

func checkScripts(t *testing.T, run runner, o load.Options) {
	var scripts []*script
	for i := range 5 {
		s := newScript(fmt.Sprintf("%s%d", strings.ReplaceAll(t.Name(), "/", "-"), i))
		scripts, o.Flows = append(scripts, s), append(o.Flows, s)
	}
	o.Interval = time.Second
	result, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		t.Errorf("%v: %.200q", err, scripts[0].got)
	}
	want := [load.Kinds]load.Tally{
		load.Get:      {Count: 25, Items: 25, Hits: 15, Misses: 10},
		load.GetMulti: {Count: 10, Items: 30, Hits: 10, Misses: 20},
		load.Set:      {Count: 10, Items: 10, Hits: 10},
		load.Add:      {Count: 10, Items: 10, Hits: 5, Misses: 5},
		load.Touch:    {Count: 10, Items: 10, Hits: 5, Misses: 5},
		load.Delete:   {Count: 10, Items: 10, Hits: 5, Misses: 5},
	}
	for kind, tally := range result.Kinds {
		if n := tally.Latency.TotalCount(); n != tally.Count {
			t.Errorf("%v: %d latencies for %d operations", load.Kind(kind), n, tally.Count)
		}
		tally.Latency = nil
		if tally != want[kind] {
			t.Errorf("%v: %+v, want %+v", load.Kind(kind), tally, want[kind])
		}
	}
	var moments int64
	for _, moment := range result.Timeline {
		moments += moment.Latency.TotalCount()
	}
	if moments != 75 || result.Turns.TotalCount() != 15 {
		t.Errorf("%d operations in the timeline, %d turns; want 75 and 15", moments, result.Turns.TotalCount())
	}
}

// endless is a flow of single gets.
type endless struct{ turn bool }

func (e *endless) Next(ops []load.Op) []load.Op {
	if e.turn = !e.turn; e.turn {
		ops = append(ops, load.Op{Kind: load.Get, Key: []byte("k")})
	}
	return ops
}

func (*endless) Check(*load.Op, load.Answer) bool { return true }

// A server that stalls delays all turns that come due meanwhile, and an open
// loop must count every one of them from the instant it was due.
func TestOpenLoopCountsWhatAStallDelays(t *testing.T) {
	const stall = 400 * time.Millisecond
	for name, run := range map[string]runner{"fast": load.Run, "ordinary": load.RunOrdinary} {
		t.Run(name, func(t *testing.T) {
			var once sync.Once
			address := lineServer(t, 20, func() { once.Do(func() { time.Sleep(stall) }) })
			result, err := run(t.Context(), load.Options{
				Address: address, Dialect: text, Flows: []load.Flow{&endless{}},
				Rate: 1000, Duration: 500 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := result.Turns.TotalCount(); n != 500 {
				t.Errorf("%d turns, want 500", n)
			}
			var delayed int64
			for _, bracket := range result.Turns.Distribution() {
				if bracket.From >= int64(stall/2) {
					delayed += bracket.Count
				}
			}
			if delayed < 150 { // those due in the stall's first half, but for a few
				t.Errorf("%d turns took %v or more; a stall of %v at 1000 turns per second delays 200 so long", delayed, stall/2, stall)
			}
		})
	}
}

// A server too slow for the rate leaves turns unserved, and they count.
func TestOpenLoopAccountsForTheUnserved(t *testing.T) {
	address := lineServer(t, 1, func() { time.Sleep(20 * time.Millisecond) })
	result, err := load.Run(t.Context(), load.Options{
		Address: address, Dialect: text, Flows: []load.Flow{&endless{}},
		Rate: 1000, Duration: 300 * time.Millisecond, Drain: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := result.Turns.TotalCount(); n != 300 || result.Unserved < 200 {
		t.Errorf("%d turns of which %d unserved; want 300 and most of them", n, result.Unserved)
	}
}

// runUntilBusy runs a closed loop for longer and longer until there was time for a
// turn, and returns the result of the last run. options are those of each.
func runUntilBusy(t *testing.T, options func() load.Options) *load.Result {
	t.Helper()
	for d := 50 * time.Millisecond; ; d *= 2 {
		o := options()
		o.Duration = d
		result, err := load.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if result.Turns.TotalCount() > 0 || d > time.Minute {
			return result
		}
	}
}

func TestClosedLoopEnds(t *testing.T) {
	address := lineServer(t, 1<<30, nil)
	flows := []load.Flow{&endless{}, &endless{}, &endless{}}
	var started atomic.Int32
	result := runUntilBusy(t, func() load.Options {
		started.Store(0)
		return load.Options{Address: address, Dialect: text, Flows: flows, Started: func() { started.Add(1) }}
	})
	gets := result.Kinds[load.Get]
	if gets.Count == 0 || gets.Misses != gets.Count || result.Operations() != gets.Count || started.Load() != 1 {
		t.Errorf("%+v, started %d times", gets, started.Load())
	}
}

func TestBrokenConnectionsFailTheRun(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	o := load.Options{Address: listener.Addr().String(), Dialect: text, Flows: []load.Flow{&endless{}}, Duration: time.Minute}
	if _, err := load.Run(t.Context(), o); err == nil {
		t.Error("no error")
	}
}

func TestCancel(t *testing.T) {
	address := lineServer(t, 1<<30, nil)
	ctx, cancel := context.WithCancel(t.Context())
	o := load.Options{Address: address, Dialect: text, Flows: []load.Flow{&endless{}}, Duration: time.Hour, Started: cancel}
	if _, err := load.Run(ctx, o); err == nil {
		t.Error("a cancelled run ended without an error")
	}
}

func text() load.Dialect { return dialect.Text{} }

// lineServer answers every line with a miss (version with one) and calls pause
// before every so many answers.
func lineServer(t *testing.T, every int, pause func()) (address string) {
	t.Helper()
	return listen(t, func(conn net.Conn) { answerLines(conn, every, pause) })
}

// listen calls serve in a goroutine of its own for each connection.
func listen(t *testing.T, serve func(conn net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

func answerLines(conn net.Conn, every int, pause func()) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for n := 1; lines.Scan(); n++ {
		answer := "END\r\n"
		if lines.Text() == "version" {
			answer, n = "VERSION 1\r\n", 0
		}
		if n > 0 && n%every == 0 {
			pause()
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// startServer runs a peer, which may be missing except on CI.
func startServer(t *testing.T, spec peer.Spec) *peer.Server {
	t.Helper()
	if _, err := spec.Find(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	server, err := spec.Start(t.Context(), peer.Options{Dir: filepath.Join(t.TempDir(), "server"), MemoryMB: 64, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return server
}

// With Reconnect every turn has a connection of its own, in every protocol, and
// the server is asked to close it.
func TestReconnect(t *testing.T) {
	for _, name := range []string{"memcached", "redis-everysec"} {
		spec, err := peer.ParseSpec(name)
		if err != nil {
			t.Fatal(err)
		}
		server := startServer(t, spec)
		for _, dialect := range []string{"text", "meta", "binary"} {
			newDialect, err := spec.Dialect(dialect)
			if err != nil || !spec.SpeaksMemcached() && dialect != "text" {
				continue
			}
			t.Run(name+"/"+dialect, func(t *testing.T) {
				checkScripts(t, load.Run, load.Options{Address: server.Address, Dialect: newDialect, Workers: 2, Reconnect: true})
			})
		}
	}
	var accepted atomic.Int64
	address := countingServer(t, &accepted)
	result := runUntilBusy(t, func() load.Options {
		accepted.Store(0)
		return load.Options{Address: address, Dialect: text, Flows: []load.Flow{&endless{}, &endless{}}, Reconnect: true}
	})
	if turns := result.Turns.TotalCount(); turns == 0 || turns != accepted.Load() {
		t.Errorf("%d turns, %d connections", turns, accepted.Load())
	}
}

// countingServer counts connections, answers a get with a miss, and closes a
// connection that says quit.
func countingServer(t *testing.T, accepted *atomic.Int64) (address string) {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		defer conn.Close()
		accepted.Add(1)
		for lines := bufio.NewScanner(conn); lines.Scan() && lines.Text() != "quit"; {
			conn.Write([]byte("END\r\n"))
		}
	})
}
