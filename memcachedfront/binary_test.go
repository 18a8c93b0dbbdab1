package memcachedfront_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cairn/memcachedfront"
	"cairn/session"
	"cairn/session/sessiontest"
)

// request lays a binary request out; extras are given as numbers of 32 bits.
func request(opcode byte, key, value string, extras ...uint32) string {
	op := binaryOp{opcode: opcode, key: []byte(key), value: []byte(value)}
	for _, n := range extras {
		op.extras = binary.BigEndian.AppendUint32(op.extras, n)
	}
	return string(op.encode(nil, 7, 0))
}

// expectPackets compares answers, each opcode, status and body.
func expectPackets(t testing.TB, address, says string, want ...string) {
	t.Helper()
	if got := packets(t, converse(t, address, says)); !slices.Equal(got, want) {
		t.Errorf("answered %q, want %q", got, want)
	}
}

const noop = "a 0 "

func TestQuietCommandsAnswerOnlyWhatMatters(t *testing.T) {
	address := startServer(t, nil)
	end := request(opNoop, "", "")
	expectPackets(t, address, request(0x11, "k", "1", 0, 0)+end, noop)                              // setq
	expectPackets(t, address, request(0x12, "k", "2", 0, 0)+end, "12 2 Data exists for key.", noop) // addq
	expectPackets(t, address, request(0x13, "none", "2", 0, 0)+end, "13 1 Not found", noop)         // replaceq
	expectPackets(t, address, request(0x19, "none", "2")+end, "19 5 Not stored.", noop)             // appendq
	expectPackets(t, address, request(0x09, "none", "")+request(0x0d, "none", "")+end, noop)        // getq, getkq
	expectPackets(t, address, request(0x09, "k", "")+request(0x0d, "k", "")+end,
		"9 0 \x00\x00\x00\x001", "d 0 \x00\x00\x00\x00k1", noop)
	expectPackets(t, address, request(0x1e, "none", "", 9)+request(0x24, "none", "", 9)+end, noop) // gatq, gatkq
	expectPackets(t, address, request(0x24, "k", "", 9)+end, "24 0 \x00\x00\x00\x00k1", noop)
	expectPackets(t, address, request(0x15, "k", "", 0, 4, 0, 0, 0)+request(0x00, "k", "")+end, // incrq
		"0 0 \x00\x00\x00\x005", noop)
	expectPackets(t, address, request(0x16, "none", "", 0, 4, 0, 0, 0xffffffff)+end, "16 1 Not found", noop) // decrq
	expectPackets(t, address, request(0x14, "k", "")+request(0x14, "k", "")+end, "14 1 Not found", noop)     // deleteq
	expectPackets(t, address, request(0x18, "", "")+end, noop)                                               // flushq
	expectPackets(t, address, end+request(0x17, "", "")+end, noop)                                           // quitq
}

func TestLoudMissesAndHits(t *testing.T) {
	address := startServer(t, nil)
	expectPackets(t, address, request(0x01, "k", "v", 7, 0)+request(0x0c, "k", "")+request(0x1c, "k", "", 9)+request(0x23, "k", "", 9),
		"1 0 ", "c 0 \x00\x00\x00\x07kv", "1c 0 \x00\x00\x00\x07", "23 0 \x00\x00\x00\x07kv")
	expectPackets(t, address, request(0x0c, "none", "")+request(0x1c, "none", "", 9)+request(0x23, "none", "", 9)+request(0x1d, "none", "", 9),
		"c 1 none", "1c 1 Not found", "23 1 none", "1d 1 Not found")
	expectPackets(t, address, request(0x05, "n", "", 0, 1, 0, 40, 0)+request(0x05, "n", "", 0, 2, 0, 40, 0)+request(0x06, "n", "", 0, 50, 0, 0, 0)+request(0x05, "k", "", 0, 1, 0, 0, 0),
		"5 0 \x00\x00\x00\x00\x00\x00\x00\x28", "5 0 \x00\x00\x00\x00\x00\x00\x00\x2a", "6 0 \x00\x00\x00\x00\x00\x00\x00\x00",
		"5 6 Non-numeric server-side value for incr or decr")
}

// TestUnknownCommandsAreSwallowedWhole differs from memcached, which counts the
// key of an unknown command twice and loses the next request.
func TestUnknownCommandsAreSwallowedWhole(t *testing.T) {
	address := startServer(t, nil)
	for _, unknown := range []string{
		request(0x70, "", ""),
		request(0x70, "key", "value", 1, 2, 3),
		request(0x70, "key", strings.Repeat("x", 3<<20)),
	} {
		expectPackets(t, address, unknown+request(opNoop, "", ""), "70 81 Unknown command", noop)
	}
}

// TestTooLargeLeavesTheOldValue differs from memcached as well.
func TestTooLargeLeavesTheOldValue(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) { o.MaxItemSize = 100 })
	says := request(0x01, "k", "old", 0, 0) + request(0x01, "k", strings.Repeat("x", 101), 0, 0) + request(0x11, "k", strings.Repeat("x", 5000), 0, 0) + request(opGet, "k", "")
	expectPackets(t, address, says, "1 0 ", "1 3 Too large.", "11 3 Too large.", "0 0 \x00\x00\x00\x00old")
}

func TestFatalRequestsCloseTheConnection(t *testing.T) {
	address := startServer(t, nil)
	after := request(opNoop, "", "")
	expectPackets(t, address, request(opNoop, "", "")+request(opGet, "", "")+after, noop, "0 4 Invalid arguments")
	expectPackets(t, address, request(opGet, strings.Repeat("k", 251), "")+after, "0 4 Invalid arguments")
	expectPackets(t, address, request(opNoop, "", "")+"get k\r\n"+after, noop)
}

// setClock is a clock that tests set.
type setClock struct{ now atomic.Int64 }

func (c *setClock) Now() session.Time { return session.Time(c.now.Load()) }

func TestBinaryFlushWithDelay(t *testing.T) {
	clock := &setClock{}
	clock.now.Store(1_000_000_000_000)
	address := startServer(t, func(o *memcachedfront.Options) { o.Clock = clock })
	expectPackets(t, address, request(0x01, "k", "v", 0, 0)+request(0x08, "", "", 10)+request(opGet, "k", ""), "1 0 ", "8 0 ", "0 0 \x00\x00\x00\x00v")
	clock.now.Add(9_999)
	expectPackets(t, address, request(opGet, "k", ""), "0 0 \x00\x00\x00\x00v")
	clock.now.Add(1)
	expectPackets(t, address, request(opGet, "k", ""), "0 1 Not found")
	expectPackets(t, address, request(0x01, "k", "v", 0, 0)+request(0x18, "", "", 0)+request(opGet, "k", ""), "1 0 ", "0 1 Not found")
}

func TestBinaryFlushDisabled(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) { o.Flush = memcachedfront.RefuseFlush })
	expectPackets(t, address, request(0x01, "k", "v", 0, 0)+request(0x08, "", "")+request(0x18, "", "", 0)+request(opGet, "k", ""),
		"1 0 ", "8 20 Auth failure.", "18 20 Auth failure.", "0 0 \x00\x00\x00\x00v")
}

// TestFlushIgnored answers as if it had flushed, over both protocols.
func TestFlushIgnored(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) { o.Flush = memcachedfront.IgnoreFlush })
	got := converse(t, address, "set k 0 0 1\r\nv\r\nflush_all\r\nflush_all 10\r\nflush_all noreply\r\nget k\r\n")
	if want := "STORED\r\nOK\r\nOK\r\nVALUE k 0 1\r\nv\r\nEND\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	expectPackets(t, address, request(0x08, "", "")+request(0x18, "", "")+request(0x08, "", "", 10)+request(opGet, "k", ""),
		"8 0 ", "8 0 ", "0 0 \x00\x00\x00\x00v")
	if stats := converse(t, address, "stats\r\n"); !strings.Contains(stats, "STAT cmd_flush_ignored 6\r\n") || !strings.Contains(stats, "STAT cmd_flush 6\r\n") {
		t.Errorf("stats: %s", stats)
	}
}

func TestBinaryVersionAndVerbosity(t *testing.T) {
	level := make(chan int, 1)
	address := startServer(t, func(o *memcachedfront.Options) {
		o.Version = "1.2.3"
		o.Verbosity = func(n int) { level <- n }
	})
	expectPackets(t, address, request(opVer, "", "")+request(0x1b, "", "", 2), "b 0 1.2.3", "1b 0 ")
	if got := <-level; got != 2 {
		t.Errorf("the level became %d", got)
	}
}

func TestBinaryConfigGet(t *testing.T) {
	address := startServer(t, func(o *memcachedfront.Options) { o.Nodes = []string{"10.0.0.1:11211", "cache.example:11212"} })
	expectPackets(t, address, request(0x60, "cluster", "")+request(0x60, "other", ""),
		"60 0 \x00\x00\x00\x001\n10.0.0.1|10.0.0.1|11211 cache.example||11212\n", "60 1 Not found")
	expectPackets(t, startServer(t, nil), request(0x60, "cluster", ""), "60 81 Unknown command")
}

// TestBinaryStats compares the names of every group with the text protocol's.
func TestBinaryStats(t *testing.T) {
	address := startServer(t, nil)
	converse(t, address, "set k 0 0 1\r\nv\r\nget k\r\n")
	for _, group := range []string{"", "settings", "items", "slabs", "sizes", "conns"} {
		text := converse(t, address, strings.TrimSpace("stats "+group)+"\r\n")
		var want []string
		for line := range strings.Lines(text) {
			if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "STAT" {
				want = append(want, fields[1])
			}
		}
		var got []string
		r := strings.NewReader(converse(t, address, request(0x10, group, "")))
		for {
			header, body, err := readPacket(r)
			if err != nil {
				t.Fatalf("stats %s has no end", group)
			}
			n := binary.BigEndian.Uint16(header[2:])
			if n == 0 {
				break
			}
			got = append(got, string(body[:n]))
		}
		if group == "conns" { // numbered
			got, want = got[:1], got[:1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("stats %q: names %q, in text %q", group, got, want)
		}
		if r.Len() > 0 {
			t.Errorf("stats %q: something follows the end", group)
		}
	}
	expectPackets(t, address, request(0x10, "reset", "")+request(0x10, "nonsense", ""), "10 0 ", "10 1 Not found")
	if got := converse(t, address, "stats\r\n"); !strings.Contains(got, "STAT get_hits 0\r\n") {
		t.Error("reset did not reset")
	}
	expectPackets(t, address, request(0x10, "detail on", ""), "10 0 ")
	expectPackets(t, address, request(0x01, "a:b", "v", 0, 0), "1 0 ")
	expectPackets(t, address, request(0x10, "detail dump", "")+request(0x10, "detail off", ""),
		"10 0 detailedPREFIX a get 0 hit 0 set 1 del 0\r\nEND\r\n", "10 0 ", "10 0 ")
}

// failingStore fails every command.
type failingStore struct{ err error }

func (s failingStore) Try(b *session.Burst) bool {
	b.FailAll(s.err)
	return true
}

func (s failingStore) Apply(*session.Burst, session.Completer) { panic("Try has answered") }

// TestStoreFailuresKeepTheConnection: clients must see a failure that may pass.
func TestStoreFailuresKeepTheConnection(t *testing.T) {
	for _, err := range []error{session.ErrNoSpace, session.ErrCorrupt, errors.New("anything")} {
		address := startServer(t, func(o *memcachedfront.Options) { o.Store = failingStore{err} })
		says, want := "", []string(nil)
		for _, opcode := range []byte{0x00, 0x09, 0x0c, 0x04, 0x14, 0x0e, 0x19} {
			says += request(opcode, "k", "")
			want = append(want, fmt.Sprintf("%x 82 Out of memory", opcode))
		}
		for _, opcode := range []byte{0x01, 0x11, 0x02, 0x03} {
			says += request(opcode, "k", "v", 0, 0)
			want = append(want, fmt.Sprintf("%x 82 Out of memory", opcode))
		}
		says += request(0x05, "k", "", 0, 1, 0, 1, 0) + request(0x1c, "k", "", 1) + request(0x08, "", "") + request(opNoop, "", "")
		want = append(want, "5 82 Out of memory", "1c 82 Out of memory", "8 82 Out of memory", noop)
		expectPackets(t, address, says, want...)
	}
}

// TestBinaryArrivingInPieces tears a conversation at every byte.
func TestBinaryArrivingInPieces(t *testing.T) {
	says := request(0x01, "key", "value", 7, 0) + request(0x0c, "key", "") + request(0x70, "key", "v", 1) + request(0x05, "n", "", 0, 1, 0, 40, 0) + request(opNoop, "", "")
	want := []string{"1 0 ", "c 0 \x00\x00\x00\x07keyvalue", "70 81 Unknown command", "5 0 \x00\x00\x00\x00\x00\x00\x00\x28", noop}
	address := startServer(t, func(o *memcachedfront.Options) { o.Store = sessiontest.NewModel(0) })
	for i := range says {
		c := dial(t, "tcp", address)
		ask(t, c, request(0x08, "", ""), string(flushed))
		if _, err := io.WriteString(c, says[:i]); err != nil {
			t.Fatal(err)
		}
		expectPackets(t, address, request(opNoop, "", ""), noop) // meanwhile
		if _, err := io.WriteString(c, says[i:]+request(0x07, "", "")); err != nil {
			t.Fatal(err)
		}
		answers, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := packets(t, string(answers)); !slices.Equal(got, append(slices.Clone(want), "7 0 ")) {
			t.Fatalf("torn at %d: %q", i, got)
		}
	}
}

var flushed = append([]byte{0x81, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}, make([]byte, 8)...)
