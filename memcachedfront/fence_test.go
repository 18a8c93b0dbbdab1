package memcachedfront

import (
	be "encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/policy"
	"cairn/serve"
	"cairn/session"
	"cairn/session/sessiontest"
)

// openRules returns rules with that text.
func openRules(t testing.TB, text string) *policy.Rules {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Open(nil, file)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// ruledStore is a model that rules apply to, as they do to the server's store.
type ruledStore struct {
	*sessiontest.Model
	rules *policy.Rules
}

func (s ruledStore) Apply(b *session.Burst, to session.Completer) {
	s.rules.Admit(b)
	s.Model.Apply(b, to)
}

// testClock stands where the test puts it.
type testClock struct{ now session.Time }

func (c *testClock) Now() session.Time { return c.now }

// fenceRules are rules of every kind of fence.
const fenceRules = `
rules:
  - {name: conn, prefix: 'c.', fence: connection, absolute: 100s}
  - {name: peer, prefix: 'p.', fence: peer, locks: 'p.lock.'}
  - {name: honest, prefix: 'h.', fence: connection, fence-answer: not_stored, fence-for: 10s}
  - {name: holds, prefix: 'n.', fence: peer, fence-miss: holds}
  - {name: off, prefix: 'o.'}
`

// fenceWorld is a server with such rules and connections to it.
type fenceWorld struct {
	t      testing.TB
	server *Server
	clock  *testClock
	lines  map[string]*line
}

func newFenceWorld(t testing.TB) *fenceWorld {
	w := &fenceWorld{t: t, clock: &testClock{now: session.FromUnix(1_800_000_000)}, lines: map[string]*line{}}
	rules := openRules(t, fenceRules)
	w.server = testServer(t, func(o *Options) {
		o.Store, o.Clock, o.Rules = ruledStore{sessiontest.NewModel(1000), rules}, w.clock, rules
	})
	return w
}

// line is the connection with that name, whose peer is named by its first letter.
func (w *fenceWorld) line(name string) *line {
	l := w.lines[name]
	if l == nil {
		l = newLine(w.server)
		l.conn.fenced.peer = uint64(name[0])<<1 | 1
		w.lines[name] = l
	}
	return l
}

// say sends a request and returns what is answered.
func (w *fenceWorld) say(name, request string) string {
	l := w.line(name)
	l.output.Reset()
	l.receive(strings.ReplaceAll(request, "|", "\r\n") + "\r\n")
	return strings.ReplaceAll(strings.TrimSuffix(l.output.String(), "\r\n"), "\r\n", "|")
}

// TestFence goes through what clients do to sessions. A step is the connection's
// name, what it sends and what it hears. "wait" lets seconds pass.
func TestFence(t *testing.T) {
	const set, miss, hit = "set c.k 0 900 1|x", "END", "VALUE c.k 0 1|x|END"
	for name, steps := range map[string][][3]string{
		"a late write": {
			{"a", set, "STORED"}, {"b", "get c.k", hit}, {"a", "delete c.k", "DELETED"}, {"b", set, "STORED"}, {"c", "get c.k", miss},
			{"b", "get c.k", miss}, {"b", set, "STORED"}, {"c", "get c.k", hit},
		},
		"the writer has never read it": {{"a", set, "STORED"}, {"b", "delete c.k", "DELETED"}, {"c", set, "STORED"}, {"c", "get c.k", hit}},
		"the writer has written it": {
			{"a", set, "STORED"}, {"b", "delete c.k", "DELETED"}, {"a", set, "STORED"}, {"c", "get c.k", miss},
			{"a", "add c.k 0 900 1|x", "STORED"},
		},
		"its own delete": {{"a", set, "STORED"}, {"a", "delete c.k", "DELETED"}, {"a", set, "STORED"}, {"c", "get c.k", hit}},
		"its own delete by expiry": {
			{"a", set, "STORED"}, {"a", "touch c.k -1", "TOUCHED"}, {"a", set, "STORED"}, {"c", "get c.k", hit},
		},
		"its delete finds nothing": {
			{"a", set, "STORED"}, {"b", "get c.k", hit}, {"a", "delete c.k", "DELETED"}, {"b", "delete c.k", "NOT_FOUND"},
			{"b", set, "STORED"}, {"c", "get c.k", hit},
		},
		"somebody flushes": {{"a", set, "STORED"}, {"b", "flush_all", "OK"}, {"a", set, "STORED"}, {"c", "get c.k", miss}},
		"it flushes":       {{"a", set, "STORED"}, {"a", "flush_all", "OK"}, {"a", set, "STORED"}, {"c", "get c.k", hit}},
		"a flush in the same input": {
			{"a", set, "STORED"}, {"a", "flush_all|" + set + "|get c.k", "OK|STORED|" + hit},
		},
		"another session has taken its place": {
			{"a", set, "STORED"}, {"b", "get c.k", hit}, {"a", "delete c.k", "DELETED"}, {"c", "set c.k 0 900 3|new", "STORED"},
			{"b", set, "STORED"}, {"c", "get c.k", "VALUE c.k 0 3|new|END"},
		},
		"renewed meanwhile": {{"a", set, "STORED"}, {"b", "get c.k", hit}, {"a", "set c.k 0 900 1|y", "STORED"}, {"b", set, "STORED"}, {"c", "get c.k", hit}},
		"input in one piece": {
			{"a", set, "STORED"}, {"b", "get c.k|" + set + "|delete c.k|" + set + "|get c.k", hit + "|STORED|DELETED|STORED|" + hit},
			{"a", "delete c.k", "DELETED"}, {"b", set + "|get c.k|" + set + "|get c.k", "STORED|" + miss + "|STORED|" + hit},
		},
		"longer ago than a request takes": {{"a", set, "STORED"}, {"b", "delete c.k", "DELETED"}, {"wait", "61", ""}, {"a", set, "STORED"}, {"c", "get c.k", hit}},
		"it expired":                      {{"a", "set c.k 0 10 1|x", "STORED"}, {"wait", "11", ""}, {"a", set, "STORED"}, {"c", "get c.k", hit}},
		"its absolute lifetime ended": {
			{"a", set, "STORED"}, {"wait", "70", ""}, {"a", "get c.k", hit}, {"wait", "31", ""}, {"a", set, "STORED"}, {"c", "get c.k", miss},
			{"wait", "30", ""}, {"a", set, "STORED"}, {"c", "get c.k", hit},
		},
		"commands that need the item": {
			{"a", set, "STORED"}, {"b", "delete c.k", "DELETED"}, {"a", "append c.k 0 0 1|x", "NOT_STORED"}, {"a", set, "STORED"}, {"c", "get c.k", hit},
		},
		"touch, gat and add see it": {
			{"a", set, "STORED"}, {"b", "touch c.k 900", "TOUCHED"}, {"d", "gat 900 c.k", hit}, {"e", "add c.k 0 0 1|x", "NOT_STORED"},
			{"a", "delete c.k", "DELETED"}, {"b", set, "STORED"}, {"d", set, "STORED"}, {"e", set, "STORED"}, {"c", "get c.k", miss},
		},
		"cas fails by itself": {{"a", set, "STORED"}, {"b", "delete c.k", "DELETED"}, {"a", "cas c.k 0 0 1 1|x", "NOT_FOUND"}, {"a", set, "STORED"}},
		"meta": {
			{"a", "ms c.k 1 T900|x", "HD"}, {"b", "mg c.k v", "VA 1|x"}, {"a", "md c.k", "HD"}, {"b", "ms c.k 1 c T900|x", "HD c0"},
			{"b", "ms c.k 1 T900 q|x|mn", "MN"}, {"c", "mg c.k", "EN"}, {"b", "mg c.k", "EN"}, {"b", "ms c.k 1 T900 q|x|mg c.k v", "VA 1|x"},
		},
		"quiet":   {{"a", set, "STORED"}, {"b", "delete c.k", "DELETED"}, {"a", "set c.k 0 900 1 noreply|x|get c.k", "END"}},
		"no rule": {{"a", "set o.k 0 900 1|x", "STORED"}, {"b", "delete o.k", "DELETED"}, {"a", "set o.k 0 900 1|x", "STORED"}, {"b", "get o.k", "VALUE o.k 0 1|x|END"}},
		"an honest answer": {
			{"a", "set h.k 0 900 1|x", "STORED"}, {"b", "delete h.k", "DELETED"}, {"a", "set h.k 0 900 1|x", "NOT_STORED"},
			{"a", "ms h.k 1|x", "NS"}, {"a", "ms h.k 1 q|x", "NS"}, {"wait", "11", ""}, {"a", "set h.k 0 900 1|x", "STORED"},
		},
		"several connections of a peer": {
			{"a1", "set p.k 0 900 1|x", "STORED"}, {"a2", "delete p.k", "DELETED"}, {"a3", "set p.k 0 900 1|x", "STORED"},
			{"a2", "set p.k 0 900 1|x", "STORED"}, {"b1", "get p.k", miss}, {"b1", "set p.k 0 900 1|x", "STORED"},
			{"a1", "get p.k", "VALUE p.k 0 1|x|END"}, {"b1", "delete p.k", "DELETED"}, {"a1", "get p.k", miss}, {"a2", "set p.k 0 900 1|x", "STORED"},
			{"b1", "get p.k", "VALUE p.k 0 1|x|END"},
		},
		"reset_session of Rails: it deletes and asks, while another request runs": {
			{"r1", "set n.k 0 900 1|x", "STORED"}, {"r2", "get n.k", "VALUE n.k 0 1|x|END"}, {"r1", "delete n.k", "DELETED"}, {"r1", "get n.k", miss},
			{"r1", "set n.l 0 900 1|x", "STORED"}, {"r2", "set n.k 0 900 1|x", "STORED"}, {"r2", "add n.k 0 900 1|x", "NOT_STORED"},
			{"r1", "delete n.k", "NOT_FOUND"}, {"r1", "touch n.k 9", "NOT_FOUND"}, {"r1", "replace n.k 0 900 1|x", "NOT_STORED"},
			{"r2", "set n.k 0 900 1|x", "STORED"}, {"r1", "get n.k", miss}, {"r1", "get n.l", "VALUE n.l 0 1|x|END"},
			{"s1", "set n.k 0 900 1|x", "STORED"}, {"s1", "delete n.k", "DELETED"},
			{"wait", "61", ""}, {"r2", "set n.k 0 900 1|x", "STORED"}, {"r1", "get n.k", "VALUE n.k 0 1|x|END"},
		},
		"it expired, and a miss holds": {
			{"r1", "set n.k 0 10 1|x", "STORED"}, {"wait", "11", ""}, {"r1", "get n.k", miss}, {"r1", "set n.k 0 900 1|x", "STORED"},
			{"r1", "get n.k", "VALUE n.k 0 1|x|END"},
		},
		"the ping of memcached-session-manager": {
			{"t1", "set p.k 0 900 1|x", "STORED"}, {"t2", "get p.k", "VALUE p.k 0 1|x|END"}, {"k", "delete p.k", "DELETED"},
			{"t1", "add p.k 0 5 1|p", "NOT_STORED"}, {"t1", "ms p.k 1 ME|p", "NS"}, {"t1", "add p.lock.k 0 5 1|p", "STORED"}, {"k", "get p.k", miss},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFenceWorld(t)
			for i, step := range steps {
				if step[0] == "wait" {
					var seconds int64
					fmt.Sscan(step[1], &seconds)
					w.clock.now = w.clock.now.Add(time.Duration(seconds) * time.Second)
				} else if got := w.say(step[0], step[1]); got != step[2] {
					t.Fatalf("step %d: %s sends %q and hears %q, want %q", i, step[0], step[1], got, step[2])
				}
			}
		})
	}
}

// binaryRequest is a request of the binary protocol.
func binaryRequest(opcode byte, extras, key, value string) string {
	h := make([]byte, 24)
	h[0], h[1], h[4] = 0x80, opcode, byte(len(extras))
	be.BigEndian.PutUint16(h[2:], uint16(len(key)))
	be.BigEndian.PutUint32(h[8:], uint32(len(extras)+len(key)+len(value)))
	return string(h) + extras + key + value
}

// TestFenceBinary hears of writes that were kept out in the binary protocol.
func TestFenceBinary(t *testing.T) {
	const (
		opGet, opSet, opAdd, opDelete, opSetQ, opNoop = 0, 1, 2, 4, 0x11, 0x0a
		long                                          = "\x00\x00\x00\x00\x00\x00\x03\x84"
	)
	for prefix, want := range map[string]string{"c.": "", "h.": "", "p.": ""} {
		w := newFenceWorld(t)
		say := func(name string, opcode byte, extras, value string) (status uint16, cas uint64, answered bool) {
			l := w.line(name)
			l.output.Reset()
			l.receive(binaryRequest(opcode, extras, prefix+"k", value))
			answer := l.output.String()
			if answer == "" {
				return 0, 0, false
			}
			return be.BigEndian.Uint16([]byte(answer[6:])), be.BigEndian.Uint64([]byte(answer[16:])), true
		}
		say("a", opSet, long, "x")
		say("b", opDelete, "", "")
		refused := uint16(0)
		if prefix == "h." {
			refused = 5
		}
		if status, cas, _ := say("a", opSet, long, "x"); status != refused || cas != 0 {
			t.Errorf("%s: set: status %d, CAS %d", prefix, status, cas)
		}
		if status, _, answered := say("a", opSetQ, long, "x"); answered != (refused != 0) || status != refused {
			t.Errorf("%s: quiet set: status %d, answered %t", prefix, status, answered)
		}
		if prefix == "p." {
			if status, _, _ := say("a", opAdd, long, "x"); status != 2 {
				t.Errorf("add: status %d", status)
			}
		}
		if status, _, _ := say("c", opGet, "", ""); status != 1 {
			t.Errorf("%s: get: status %d %s", prefix, status, want)
		}
	}
}

// TestFenceTravels lets another process go on with a connection that has seen a
// session.
func TestFenceTravels(t *testing.T) {
	w := newFenceWorld(t)
	w.say("a", "set c.k 0 900 1|x")
	w.say("b", "get c.k")
	w.say("a", "delete c.k")
	state, err := w.line("b").conn.State()
	if err != nil {
		t.Fatal(err)
	}
	delete(w.lines, "b")
	if err := w.line("b").conn.Restore(state); err != nil {
		t.Fatal(err)
	}
	w.say("b", "set c.k 0 900 1|x")
	if got := w.say("c", "get c.k"); got != "END" {
		t.Errorf("stored again after a takeover: %q", got)
	}
}

// TestFenceCounts counts by rule.
func TestFenceCounts(t *testing.T) {
	w := newFenceWorld(t)
	for _, key := range []string{"c.1", "c.2", "h.1"} {
		w.say("a", "set "+key+" 0 900 1|x")
		w.say("b", "delete "+key)
		w.say("a", "set "+key+" 0 900 1|x")
	}
	for rule, want := range map[string]uint64{"conn": 2, "honest": 1, "peer": 0} {
		if got := w.server.fences.count(rule).Load(); got != want {
			t.Errorf("%s: %d writes kept out, want %d", rule, got, want)
		}
	}
}

// TestFenceElsewhere changes nothing for keys that no rule knows.
func TestFenceElsewhere(t *testing.T) {
	for name, transcript := range transcripts() {
		plain := newLine(testServer(t, nil))
		plain.receive(transcript)
		w := newFenceWorld(t)
		w.line("a").receive(transcript)
		if got, want := w.line("a").output.String(), plain.output.String(); got != want {
			t.Errorf("%s: %q\nwithout rules %q", name, got, want)
		}
	}
}

// TestFencePeersByAddress tells clients apart by their addresses.
func TestFencePeersByAddress(t *testing.T) {
	key := func(a net.Addr) uint64 { return peerOf(a, new(serve.Link).Origin()) }
	one, two := &net.TCPAddr{IP: net.ParseIP("10.0.0.1"), Port: 1}, &net.TCPAddr{IP: net.ParseIP("10.0.0.1"), Port: 2}
	other := &net.TCPAddr{IP: net.ParseIP("10.0.0.2"), Port: 1}
	if key(one) != key(two) || key(one) == key(other) || key(&net.UnixAddr{}) == key(one) {
		t.Error("clients are not told apart")
	}
}

// TestFenceIsCheap reads a session behind a fence without a new allocation.
func TestFenceIsCheap(t *testing.T) {
	w := newFenceWorld(t)
	w.say("a", "set c.k 0 900 1|x")
	l := w.line("a")
	b := session.Burst{Now: w.clock.now}
	*b.Add() = session.Command{Op: session.OpGet, Key: []byte("c.k")}
	if !w.server.options.Store.Try(&b) {
		t.Fatal("the store does not know it")
	}
	if n := testing.AllocsPerRun(100, func() { l.conn.depend(&b); l.conn.learn(&b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFenceOfGet(b *testing.B) {
	w := newFenceWorld(b)
	w.say("a", "set c.0123456789abcdef0123456789abcdef 0 900 1|x")
	l := w.line("a")
	burst := session.Burst{Now: w.clock.now}
	*burst.Add() = session.Command{Op: session.OpGet, Key: []byte("c.0123456789abcdef0123456789abcdef")}
	w.server.options.Store.Try(&burst)
	for b.Loop() {
		l.conn.depend(&burst)
		l.conn.learn(&burst)
	}
}
