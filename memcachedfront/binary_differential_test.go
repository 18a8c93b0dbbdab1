package memcachedfront_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binaryOp is one random binary request. Which CAS it carries depends on the
// server it goes to, because every server counts its own.
type binaryOp struct {
	opcode             byte
	extras, key, value []byte
	cas                casChoice
	header             func(header []byte) // breaks the header, or nil
	fatal              bool                // both servers close the connection after it
	alone              bool                // and memcached forgets the answers before it
}

type casChoice uint8

const (
	noCAS   casChoice = iota
	lastCAS           // the one last seen for the key
	wrongCAS
)

// encode lays op out for a server whose last CAS of the key is cas.
func (op *binaryOp) encode(dst []byte, opaque uint32, cas uint64) []byte {
	switch op.cas {
	case noCAS:
		cas = 0
	case wrongCAS:
		cas = 1 << 60
	}
	start := len(dst)
	dst = append(dst, 0x80, op.opcode)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(op.key)))
	dst = append(dst, byte(len(op.extras)), 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(op.extras)+len(op.key)+len(op.value)))
	dst = binary.BigEndian.AppendUint32(dst, opaque)
	dst = binary.BigEndian.AppendUint64(dst, cas)
	if op.header != nil {
		op.header(dst[start:])
	}
	return append(append(append(dst, op.extras...), op.key...), op.value...)
}

func (op *binaryOp) String() string {
	return fmt.Sprintf("%#02x extras %x key %.20q value %.20q (%d bytes) cas %d", op.opcode, op.extras, op.key, op.value, len(op.value), op.cas)
}

// binaryGenerator makes random requests, good ones and bad ones, leaving out
// what docs/compatibility.md names as different.
type binaryGenerator struct {
	rng          *rand.Rand
	past, future uint32    // Unix seconds
	then         *binaryOp // comes next, if not nil
	longest      int       // value in bytes
}

func (g *binaryGenerator) pick(choices ...string) []byte {
	return []byte(choices[g.rng.IntN(len(choices))])
}

func (g *binaryGenerator) key() []byte {
	if g.rng.IntN(3) == 0 {
		return g.counter()
	}
	return g.data()
}

// counter returns the key of an item that holds a number, more or less. No other
// is incremented: how memcached pads the outcome depends on how its input
// happened to arrive, see trimCounter.
func (g *binaryGenerator) counter() []byte { return g.pick("n", "n2", "n3") }

// data returns the key of an item that holds anything.
func (g *binaryGenerator) data() []byte {
	return g.pick("a", "b", "c", "key with spaces", "\x00\xff\r\n", strings.Repeat("k", 250))
}

func isCounter(key []byte) bool { return key[0] == 'n' }

func (g *binaryGenerator) valueFor(key []byte) []byte {
	if isCounter(key) {
		return g.pick("0", "1", "99", "10", "4611686018427387904", "18446744073709551616", "-1", " 7", "12 ", "+3", "1a", "0x1f")
	}
	return g.value()
}

func (g *binaryGenerator) value() []byte {
	if g.rng.IntN(5) == 0 {
		return nil
	}
	value := make([]byte, g.rng.IntN(g.longest))
	for i := range value {
		value[i] = byte(g.rng.Uint32())
	}
	return value
}

func (g *binaryGenerator) exptime() uint32 {
	exptimes := []uint32{0, 0, 0, 1000, 2592000, 2592001, 1, g.future, 0xffffffff, 0x80000000}
	if i := g.rng.IntN(len(exptimes)); exptimes[i] != 1 {
		return exptimes[i]
	}
	return g.past
}

func (g *binaryGenerator) casChoice() casChoice {
	return []casChoice{noCAS, noCAS, noCAS, noCAS, lastCAS, lastCAS, lastCAS, wrongCAS}[g.rng.IntN(8)]
}

func (g *binaryGenerator) opcode(plain, quiet byte) byte {
	if g.rng.IntN(3) == 0 {
		return quiet
	}
	return plain
}

func (g *binaryGenerator) next() *binaryOp {
	if op := g.then; op != nil {
		g.then = nil
		return op
	}
	switch n := g.rng.IntN(1000); {
	case n < 200:
		return &binaryOp{opcode: g.opcode(g.opcode(0x00, 0x0c), g.opcode(0x09, 0x0d)), key: g.key(), cas: g.casChoice()}
	case n < 450:
		return g.store()
	case n < 530:
		return &binaryOp{opcode: g.opcode(g.opcode(0x0e, 0x0f), g.opcode(0x19, 0x1a)), key: g.data(), value: g.value(), cas: g.casChoice()}
	case n < 700:
		return g.arithmetic()
	case n < 760:
		return &binaryOp{opcode: g.opcode(0x04, 0x14), key: g.key(), cas: g.casChoice()}
	case n < 900:
		return g.touch()
	case n < 930:
		return g.flush()
	case n < 960:
		return &binaryOp{opcode: []byte{0x0a, 0x0b}[g.rng.IntN(2)]}
	case n < 980:
		return g.refused()
	}
	return g.broken()
}

// batch returns requests that go out together.
func (g *binaryGenerator) batch() (ops []*binaryOp) {
	for range 1 + g.rng.IntN(30) {
		op := g.next()
		if op.alone && len(ops) > 0 {
			g.then = op
			break
		}
		ops = append(ops, op)
		if op.fatal {
			break
		}
	}
	return ops
}

func (g *binaryGenerator) store() *binaryOp {
	op := &binaryOp{opcode: []byte{0x01, 0x02, 0x03, 0x11, 0x12, 0x13}[g.rng.IntN(6)], key: g.key(), cas: g.casChoice()}
	op.value = g.valueFor(op.key)
	op.extras = binary.BigEndian.AppendUint32(nil, g.rng.Uint32())
	op.extras = binary.BigEndian.AppendUint32(op.extras, g.exptime())
	return op
}

// arithmetic leaves numbers from 2^63 out. memcached looks for a minus sign in
// them, and may find one in what happens to follow in its memory.
func (g *binaryGenerator) arithmetic() *binaryOp {
	deltas := []uint64{0, 1, 5, 100}
	initials := []uint64{0, 1, 5, 100, 1 << 62}
	op := &binaryOp{opcode: g.opcode(g.opcode(0x05, 0x06), g.opcode(0x15, 0x16)), key: g.counter(), cas: g.casChoice()}
	op.extras = binary.BigEndian.AppendUint64(nil, deltas[g.rng.IntN(len(deltas))])
	op.extras = binary.BigEndian.AppendUint64(op.extras, initials[g.rng.IntN(len(initials))])
	op.extras = binary.BigEndian.AppendUint32(op.extras, g.exptime())
	return op
}

func (g *binaryGenerator) touch() *binaryOp {
	return &binaryOp{
		opcode: []byte{0x1c, 0x1d, 0x1e, 0x23, 0x24}[g.rng.IntN(5)],
		key:    g.key(),
		extras: binary.BigEndian.AppendUint32(nil, g.exptime()),
	}
}

// flush returns a flush that takes effect at once. A delayed one may come before
// it, but not alone: in memcached that brings back what the last flush removed.
func (g *binaryGenerator) flush() *binaryOp {
	now := &binaryOp{opcode: g.opcode(0x08, 0x18)}
	if g.rng.IntN(2) == 0 {
		now.extras = make([]byte, 4)
	}
	if g.rng.IntN(2) == 0 {
		return now
	}
	g.then = now
	delay := []uint32{1000, g.future}[g.rng.IntN(2)]
	return &binaryOp{opcode: g.opcode(0x08, 0x18), extras: binary.BigEndian.AppendUint32(nil, delay)}
}

// refused returns a request that is answered with an error and leaves the
// connection usable.
func (g *binaryGenerator) refused() *binaryOp {
	switch g.rng.IntN(4) {
	case 0:
		// memcached swallows the key of an unknown command twice.
		return &binaryOp{opcode: byte(0x70 + g.rng.IntN(0x90)), value: g.value()}
	case 1:
		// A set that is too large makes memcached drop what is stored.
		op := &binaryOp{opcode: []byte{0x02, 0x13, 0x0e, 0x1a}[g.rng.IntN(4)], key: g.key(), value: make([]byte, differentialItemSize+1)}
		if op.opcode == 0x02 || op.opcode == 0x13 {
			op.extras = make([]byte, 8)
		}
		return op
	case 2:
		return &binaryOp{opcode: []byte{0x21, 0x22}[g.rng.IntN(2)], key: []byte("PLAIN"), value: []byte("\x00user\x00password")}
	}
	return &binaryOp{opcode: 0x10, key: []byte("no such statistics")}
}

// broken returns a request after which both servers close the connection.
func (g *binaryGenerator) broken() *binaryOp {
	op := &binaryOp{key: g.key(), fatal: true}
	switch g.rng.IntN(8) {
	case 0:
		op.header = func(h []byte) { h[0] = 0x79 } // neither binary nor text
		op.alone = true
	case 1:
		op.header = func(h []byte) { binary.BigEndian.PutUint32(h[8:], uint32(len(op.key)-1)) }
	case 2:
		op.key = bytes.Repeat([]byte("k"), 251+g.rng.IntN(1000))
	case 3:
		op.extras = []byte("four")
	case 4:
		op.opcode, op.extras = 0x01, []byte("four")
	case 5:
		op.opcode, op.extras = 0x05, []byte("twelve bytes")
	case 6:
		op.opcode = 0x0b // version with a key
	case 7:
		op.opcode, op.key, op.extras = 0x1c, nil, []byte("four")
	}
	return op
}

// binaryPeer is a server under comparison and what it has told so far.
type binaryPeer struct {
	address string
	conn    net.Conn
	input   *bufio.Reader
	cas     map[string]uint64
}

func (p *binaryPeer) connect() error {
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		return err
	}
	p.conn, p.input = c, bufio.NewReader(c)
	// The first byte decides on the protocol.
	if _, err := c.Write((&binaryOp{opcode: 0x0a}).encode(nil, 0, 0)); err != nil {
		return err
	}
	_, _, err = readPacket(p.input)
	return err
}

// run sends ops in pieces and gives the answers, with each CAS reduced to
// whether there is one. They end with the noop that is added, or where the
// server closes the connection.
func (p *binaryPeer) run(ops []*binaryOp, pieces *rand.Rand) (answers []string, err error) {
	if p.conn == nil {
		if err := p.connect(); err != nil {
			return nil, err
		}
	}
	p.conn.SetDeadline(time.Now().Add(time.Minute))
	var sent []byte
	for i, op := range ops {
		sent = op.encode(sent, uint32(i), p.cas[string(op.key)])
	}
	fatal := ops[len(ops)-1].fatal
	if !fatal {
		sent = (&binaryOp{opcode: 0x0a}).encode(sent, uint32(len(ops)), 0)
	}
	for len(sent) > 0 {
		n := min(len(sent), 1+pieces.IntN(3000))
		if _, err := p.conn.Write(sent[:n]); err != nil && !fatal {
			return nil, err
		}
		sent = sent[n:] // all of which a server that closes need not have read
	}
	return p.answers(ops, fatal)
}

func (p *binaryPeer) answers(ops []*binaryOp, fatal bool) (answers []string, err error) {
	for {
		header, body, err := readPacket(p.input)
		if fatal && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
			p.conn.Close()
			p.conn = nil
			return append(answers, "closed"), nil
		}
		if err != nil {
			return answers, err
		}
		opaque := int(binary.BigEndian.Uint32(header[12:]))
		cas := binary.BigEndian.Uint64(header[16:])
		if cas != 0 && opaque < len(ops) {
			p.cas[string(ops[opaque].key)] = cas
			copy(header[16:], "anything")
		}
		if header[1] == 0x0b { // versions differ
			body = nil
		}
		if opaque < len(ops) && isCounter(append(ops[opaque].key, 0)) {
			body = trimCounter(header, body)
		}
		answers = append(answers, hex.EncodeToString(header)+" "+hex.EncodeToString(body))
		if !fatal && opaque == len(ops) {
			return answers, nil
		}
	}
}

// trimCounter removes the spaces behind a number. memcached leaves as many as
// the number before it was longer, but not while the answer with that number
// is still being sent.
func trimCounter(header, body []byte) []byte {
	trimmed := bytes.TrimRight(body, " ")
	binary.BigEndian.PutUint32(header[8:], uint32(len(trimmed)))
	return trimmed
}

func readPacket(r io.Reader) (header, body []byte, err error) {
	header = make([]byte, 24)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(header[8:]))
	_, err = io.ReadFull(r, body)
	return header, body, err
}

// TestBinaryDifferential sends the same random requests to Cairn and to
// memcached and compares the answers byte for byte, except for CAS numbers.
func TestBinaryDifferential(t *testing.T) {
	seed := differentialSeed(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	now := uint32(time.Now().Unix())
	g := &binaryGenerator{rng: rng, past: now - 1000, future: now + 1000, longest: 2000}
	ours := &binaryPeer{address: differentialCairn(t), cas: map[string]uint64{}}
	theirs := &binaryPeer{address: startMemcached(t, differentialMemcachedArgs...), cas: map[string]uint64{}}
	for done := 0; done < differentialCommands(); {
		ops := g.batch()
		done += len(ops)
		pieces := rng.Uint64()
		got, err := ours.run(ops, rand.New(rand.NewPCG(pieces, 0)))
		if err != nil {
			t.Fatalf("seed %d, after %d commands: Cairn: %v\n%s", seed, done, err, describe(ops, got))
		}
		want, err := theirs.run(ops, rand.New(rand.NewPCG(pieces, 0)))
		if err != nil {
			t.Fatalf("seed %d, after %d commands: memcached: %v\n%s", seed, done, err, describe(ops, want))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("seed %d, after %d commands:\n%s\n%s", seed, done, describe(ops, nil), firstDifference(got, want))
		}
	}
}

// TestBinaryBatches compares answers to random batches with those of memcached
// 1.6.45.
func TestBinaryBatches(t *testing.T) {
	judgeBatches(t, "binary-batches", func(address string) func() batch {
		rng := rand.New(rand.NewPCG(recordedSeed, 1))
		g := &binaryGenerator{rng: rng, past: recordedPast, future: recordedFuture, longest: 50}
		peer := &binaryPeer{address: address, cas: map[string]uint64{}}
		n := 0
		return func() batch {
			n++
			ops := g.batch()
			var all []byte
			for _, op := range ops {
				all = op.encode(all, 0, 0)
			}
			return batch{
				name: fmt.Sprintf("%d: %d requests, %s", n, len(ops), digest(all)),
				run: func() ([]string, error) {
					answers, err := peer.run(ops, rand.New(rand.NewPCG(uint64(n), 0)))
					return []string{strings.Join(answers, "\n")}, err
				},
			}
		}
	})
}

func describe(ops []*binaryOp, answers []string) string {
	var s strings.Builder
	for i, op := range ops {
		fmt.Fprintf(&s, "%08x  %v\n", i, op)
	}
	for _, answer := range answers {
		fmt.Fprintf(&s, "-> %.120s\n", answer)
	}
	return s.String()
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		ours, theirs := "nothing", "nothing"
		if i < len(got) {
			ours = got[i]
		}
		if i < len(want) {
			theirs = want[i]
		}
		if ours != theirs {
			return fmt.Sprintf("answer %d:\nCairn     %s\nmemcached %s", i, ours, theirs)
		}
	}
	return ""
}
