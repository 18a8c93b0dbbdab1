package torture

import (
	"bytes"
	bin "encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/session"
)

// crowdKinds are the ways in which a crowd keeps connections open: with half a
// request, with answers that nobody reads, and in silence.
var crowdKinds = [][]byte{
	[]byte("set crowd 0 0 100000\r\nx"),
	[]byte("get neighbour\r\nmg neighb"),
	bytes.Repeat([]byte("get big\r\n"), 50),
	{0x80, 0x01, 0x00},
	nil,
}

// TestCrowd has thousands of connections that begin requests and do not end them,
// or ask and do not read, beside a few that behave: each of those gets all its
// answers.
func TestCrowd(t *testing.T) {
	t.Parallel()
	for _, n := range []int{rounds(400, 5000), rounds(400, 10_000)}[:rounds(1, 2)] {
		t.Run(fmt.Sprint(n), func(t *testing.T) { crowd(t, n) })
	}
}

func crowd(t *testing.T, n int) {
	s := newServer(t)
	confined := newGroup(t, 1<<30)
	confined.start(s)
	neighbour := newNeighbour(t, s)
	neighbour.c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("big"), Value: make([]byte, 256<<10), Expiry: session.Never})
	for i := range n {
		conn, err := dialPatiently("unix", s.sock)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(crowdKinds[i%len(crowdKinds)]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	const polite, each = 10, 200
	var answers atomic.Int64
	var wg sync.WaitGroup
	for i := range polite {
		c := s.mustConnect(dialects[i%len(dialects)])
		wg.Go(func() {
			key := fmt.Appendf(nil, "polite%d", i)
			for range each {
				c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: key, Value: key, Expiry: session.Never})
				if a := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: key}); bytes.Equal(a.value, key) {
					answers.Add(1)
				}
			}
		})
	}
	wg.Wait()
	neighbour.check()
	if got := answers.Load(); got != polite*each {
		t.Errorf("%d of %d answers", got, polite*each)
	}
	peak := s.memory("VmHWM")
	if most := int64(400<<20) + int64(n)*(64<<10); peak > most {
		t.Errorf("%d bytes of memory", peak)
	}
	figures(t, "beside %d connections with half a request, unread answers or nothing %d clients got all of %d answers; %d MB of memory at the highest%s",
		n, polite, polite*each, peak>>20, confined.judge())
}

// TestManyKeys asks for 100,000 keys in one line, and in one pipeline of each of
// the other protocols, from several clients at once.
func TestManyKeys(t *testing.T) {
	const keys = 100_000
	s := newServer(t)
	s.start()
	neighbour := newNeighbour(t, s)
	var sets []session.Command
	for i := 0; i < keys; i += 100 {
		key := fmt.Appendf(nil, "k%d", i)
		sets = append(sets, session.Command{Op: session.OpSet, Key: key, Value: key, Expiry: session.Never})
	}
	if _, err := neighbour.c.do(sets, wallNow()); err != nil {
		t.Fatal(err)
	}
	requests, replies := manyKeys(keys)
	clients := rounds(1, 10)
	var wg sync.WaitGroup
	for name, request := range requests {
		for range clients {
			c := s.mustConnect(text{})
			c.conn.SetDeadline(time.Now().Add(patience))
			wg.Go(func() {
				go c.conn.Write(request)
				got := make([]byte, len(replies[name]))
				_, err := io.ReadFull(c.r, got)
				if name == "binary" {
					forgetVersions(got)
				}
				if err != nil || !bytes.Equal(got, replies[name]) {
					t.Errorf("%s: %v, %.100q", name, err, got)
				}
			})
		}
	}
	for range 20 {
		neighbour.check()
	}
	wg.Wait()
	figures(t, "%d times %d keys at once: %d MB of memory at the highest", len(requests)*clients, keys, s.memory("VmHWM")>>20)
}

// manyKeys are requests for so many keys, one in a hundred of which are there, and
// the replies, by the protocol.
func manyKeys(keys int) (requests, replies map[string][]byte) {
	line, found := bytes.NewBufferString("get"), new(bytes.Buffer)
	metas, hits := new(bytes.Buffer), new(bytes.Buffer)
	quiets, values := new(bytes.Buffer), new(bytes.Buffer)
	for i := range keys {
		key := fmt.Sprint("k", i)
		quiets.Write(binaryHeader(0x80, opcodeGetKQ, len(key), 0, 0))
		quiets.WriteString(key)
		fmt.Fprintf(line, " k%d", i)
		fmt.Fprintf(metas, "mg k%d v q\r\n", i)
		if i%100 == 0 {
			length := len(key)
			values.Write(binaryHeader(0x81, opcodeGetKQ, length, 4, length))
			values.Write(make([]byte, 4)) // flags
			values.WriteString(key + key)
			fmt.Fprintf(found, "VALUE k%d 0 %d\r\nk%d\r\n", i, length, i)
			fmt.Fprintf(hits, "VA %d\r\nk%d\r\n", length, i)
		}
	}
	line.WriteString("\r\n")
	found.WriteString("END\r\n")
	metas.WriteString("mn\r\n")
	hits.WriteString("MN\r\n")
	quiets.Write(binaryHeader(0x80, opcodeNoop, 0, 0, 0))
	values.Write(binaryHeader(0x81, opcodeNoop, 0, 0, 0))
	return map[string][]byte{"text": line.Bytes(), "meta": metas.Bytes(), "binary": quiets.Bytes()},
		map[string][]byte{"text": found.Bytes(), "meta": hits.Bytes(), "binary": values.Bytes()}
}

const (
	opcodeNoop  = 0x0a
	opcodeGetKQ = 0x0d
)

// forgetVersions zeroes the versions in replies of the binary protocol.
func forgetVersions(replies []byte) {
	for len(replies) >= 24 {
		clear(replies[16:24])
		replies = replies[min(24+int(bin.BigEndian.Uint32(replies[8:])), len(replies)):]
	}
}

// binaryHeader is the header of a request (0x80) or a reply (0x81) without an
// opaque and a version. The lengths are in bytes.
func binaryHeader(magic, opcode byte, key, extras, value int) []byte {
	header := make([]byte, 24)
	header[0], header[1], header[4] = magic, opcode, byte(extras)
	bin.BigEndian.PutUint16(header[2:], uint16(key))
	bin.BigEndian.PutUint32(header[8:], uint32(key+extras+value))
	return header
}

// TestMillionUnread pipelines gets without reading an answer, until the server
// takes no more, and then reads what it is owed: the answers were not kept in
// memory, and none is missing.
func TestMillionUnread(t *testing.T) {
	n := rounds(100_000, 1_000_000)
	s := newServer(t)
	confined := newGroup(t, 1<<30)
	confined.start(s)
	neighbour := newNeighbour(t, s)
	value := bytes.Repeat([]byte("v"), 4000)
	neighbour.c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("page"), Value: value, Expiry: session.Never})
	c := s.mustConnect(text{})
	c.conn.SetDeadline(time.Now().Add(10 * patience))
	sent := make(chan error, 1)
	go func() {
		_, err := c.conn.Write(bytes.Repeat([]byte("get page\r\n"), n))
		sent <- err
	}()
	for range 200 { // meanwhile nobody reads
		neighbour.check()
	}
	peak := s.memory("VmHWM")
	if most := int64(300 << 20); peak > most {
		t.Errorf("%d bytes of memory for answers of %d bytes", peak, n*len(value))
	}
	reply := fmt.Appendf(nil, "VALUE page 0 %d\r\n%s\r\nEND\r\n", len(value), value)
	got := make([]byte, len(reply))
	for i := range n {
		if _, err := io.ReadFull(c.r, got); err != nil || !bytes.Equal(got, reply) {
			t.Fatalf("answer %d: %v, %.60q", i, err, got)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	neighbour.check()
	figures(t, "%d gets of 4 KB in one pipeline, first unread, then all answered: %d MB of memory at the highest%s", n, peak>>20, confined.judge())
}
