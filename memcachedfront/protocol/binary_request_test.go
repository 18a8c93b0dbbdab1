package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

var testLimits = Limits{MaxKeyLen: 250, MaxValueSize: 1000}

// packet lays a binary request out by hand.
func packet(opcode byte, extras, key, value string) []byte {
	p := []byte{BinaryMagic, opcode}
	p = binary.BigEndian.AppendUint16(p, uint16(len(key)))
	p = append(p, byte(len(extras)), 0, 0, 0)
	p = binary.BigEndian.AppendUint32(p, uint32(len(extras)+len(key)+len(value)))
	p = append(p, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0, 0, 0, 0, 42)
	return append(p, extras+key+value...)
}

func bytesOf(t *testing.T, hexadecimal string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(hexadecimal, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseBinaryReadsEveryOpcode(t *testing.T) {
	const (
		storage    = "00000007 0000000a"
		arithmetic = "0000000000000005 0000000000000064 ffffffff"
		exptime    = "0000000a"
	)
	type want struct {
		verb    Verb
		quiet   bool
		extras  string
		key     string
		value   string
		flags   uint32
		exptime int64
		delta   uint64
		initial uint64
	}
	stored := func(v Verb, q bool) want {
		return want{verb: v, quiet: q, extras: storage, key: "k", value: "value", flags: 7, exptime: 10}
	}
	counted := func(v Verb, q bool) want {
		return want{verb: v, quiet: q, extras: arithmetic, key: "k", exptime: NoVivify, delta: 5, initial: 100}
	}
	touched := func(v Verb, q bool) want {
		return want{verb: v, quiet: q, extras: exptime, key: "k", exptime: 10}
	}
	for opcode, w := range map[byte]want{
		0x00: {verb: Get, key: "k"},
		0x01: stored(Set, false),
		0x02: stored(Add, false),
		0x03: stored(Replace, false),
		0x04: {verb: Delete, key: "k"},
		0x05: counted(Incr, false),
		0x06: counted(Decr, false),
		0x07: {verb: Quit},
		0x08: {verb: FlushAll, extras: exptime, exptime: 10},
		0x09: {verb: Get, quiet: true, key: "k"},
		0x0a: {verb: Noop},
		0x0b: {verb: Version},
		0x0c: {verb: Get, key: "k"},
		0x0d: {verb: Get, quiet: true, key: "k"},
		0x0e: {verb: Append, key: "k", value: "value"},
		0x0f: {verb: Prepend, key: "k", value: "value"},
		0x10: {verb: Stats, key: "items"},
		0x11: stored(Set, true),
		0x12: stored(Add, true),
		0x13: stored(Replace, true),
		0x14: {verb: Delete, quiet: true, key: "k"},
		0x15: counted(Incr, true),
		0x16: counted(Decr, true),
		0x17: {verb: Quit, quiet: true},
		0x18: {verb: FlushAll, quiet: true},
		0x19: {verb: Append, quiet: true, key: "k", value: "value"},
		0x1a: {verb: Prepend, quiet: true, key: "k"},
		0x1b: {verb: Verbosity, extras: "00000002", delta: 2},
		0x1c: touched(Touch, false),
		0x1d: touched(Gat, false),
		0x1e: touched(Gat, true),
		0x20: {verb: SASLList},
		0x21: {verb: SASLAuth, key: "PLAIN", value: "\x00u\x00p"},
		0x22: {verb: SASLStep, key: "PLAIN", value: "\x00u\x00p"},
		0x23: touched(Gat, false),
		0x24: touched(Gat, true),
		0x60: {verb: Config, key: "cluster"},
	} {
		var r Request
		input := packet(opcode, bytesOf(t, w.extras), w.key, w.value)
		n, err := ParseBinary(append(input, "next"...), &testLimits, &r)
		if err != nil || n != len(input) || r.Swallow != 0 || r.Fatal {
			t.Errorf("%#x: consumed %d of %d, swallow %d, fatal %v, %v", opcode, n, len(input), r.Swallow, r.Fatal, err)
		}
		got := want{verb: r.Verb, quiet: r.Quiet, extras: w.extras, key: string(r.Key), value: string(r.Value),
			flags: r.Flags, exptime: r.Exptime, delta: r.Delta, initial: r.Initial}
		if got != w {
			t.Errorf("%#x: %+v, want %+v", opcode, got, w)
		}
		if r.Opcode != opcode || r.Opaque != 0xdeadbeef || r.CAS != 42 {
			t.Errorf("%#x: opcode %#x, opaque %#x, cas %d", opcode, r.Opcode, r.Opaque, r.CAS)
		}
		checkTorn(t, input)
	}
}

// checkTorn feeds every part of a good request that is not the whole.
func checkTorn(t *testing.T, input []byte) {
	t.Helper()
	for i := range input {
		var r Request
		n, err := ParseBinary(input[:i], &testLimits, &r)
		if n != 0 || !errors.Is(err, ErrIncomplete) || r.Need <= i || r.Need > len(input) {
			t.Fatalf("%x torn at %d: consumed %d, need %d, %v", input, i, n, r.Need, err)
		}
	}
}

func TestParseBinaryRefuses(t *testing.T) {
	contradiction := packet(0x00, "", "key", "")
	binary.BigEndian.PutUint32(contradiction[8:], 2)
	huge := packet(0x01, "12345678", "k", "")
	binary.BigEndian.PutUint32(huge[8:], 1<<32-1)
	for _, c := range []struct {
		name    string
		input   []byte
		fault   Fault
		fatal   bool
		swallow int
	}{
		{"a key longer than the body", contradiction, UnknownCommand, true, 0},
		{"a key of 251 bytes", packet(0x00, "", strings.Repeat("k", 251), ""), BadFormat, true, 0},
		{"an unknown opcode", packet(0x25, "ext", "key", "value"), UnknownCommand, false, 11},
		{"an unknown opcode without a body", packet(0xff, "", "", ""), UnknownCommand, false, 0},
		{"get without a key", packet(0x00, "", "", ""), BadFormat, true, 0},
		{"get with extras", packet(0x00, "1234", "k", ""), BadFormat, true, 0},
		{"get with a value", packet(0x00, "", "k", "v"), BadFormat, true, 0},
		{"set without extras", packet(0x01, "", "k", "v"), BadFormat, true, 0},
		{"set without a key", packet(0x01, "12345678", "", "v"), BadFormat, true, 0},
		{"append with extras", packet(0x0e, "12345678", "k", "v"), BadFormat, true, 0},
		{"incr with short extras", packet(0x05, "12345678", "k", ""), BadFormat, true, 0},
		{"touch without an exptime", packet(0x1c, "", "k", ""), BadFormat, true, 0},
		{"flush with a key", packet(0x08, "", "k", ""), BadFormat, true, 0},
		{"flush with long extras", packet(0x08, "12345678", "", ""), BadFormat, true, 0},
		{"noop with a body", packet(0x0a, "", "", "x"), BadFormat, true, 0},
		{"quit with a key", packet(0x07, "", "k", ""), BadFormat, true, 0},
		{"stat with extras", packet(0x10, "1234", "", ""), BadFormat, true, 0},
		{"auth without a mechanism", packet(0x21, "", "", "x"), BadFormat, true, 0},
		{"a long mechanism", packet(0x21, "", strings.Repeat("M", 33), "x"), BadFormat, false, 34},
		{"a long credential", packet(0x21, "", "PLAIN", strings.Repeat("x", 1025)), AuthFailed, false, 1030},
		{"a value over the limit", packet(0x01, "12345678", "k", strings.Repeat("x", 1001)), TooLarge, false, 1010},
		{"append over the limit", packet(0x19, "", "k", strings.Repeat("x", 1001)), TooLarge, false, 1002},
		{"a body of 4 GB", huge, TooLarge, false, 1<<32 - 1},
	} {
		var r Request
		n, err := ParseBinary(c.input, &testLimits, &r)
		if n != binaryHeaderLen || err != nil || r.Verb != Invalid {
			t.Errorf("%s: consumed %d, verb %v, %v", c.name, n, r.Verb, err)
		}
		if r.Fault != c.fault || r.Fatal != c.fatal || r.Swallow != c.swallow {
			t.Errorf("%s: fault %d, fatal %v, swallow %d; want %d, %v, %d",
				c.name, r.Fault, r.Fatal, r.Swallow, c.fault, c.fatal, c.swallow)
		}
	}
	var r Request
	if _, err := ParseBinary([]byte("get k\r\n"), &testLimits, &r); !errors.Is(err, ErrHopeless) {
		t.Errorf("text gave %v", err)
	}
}

func TestParseBinaryAcceptsTheLimits(t *testing.T) {
	for _, input := range [][]byte{
		packet(0x01, "12345678", strings.Repeat("k", 250), strings.Repeat("x", 1000)),
		packet(0x01, "12345678", "k", ""),
		packet(0x08, "", "", ""),
		packet(0x21, "", strings.Repeat("M", 32), strings.Repeat("x", 1024)),
		packet(0x10, "", "", ""),
	} {
		var r Request
		if n, err := ParseBinary(input, &testLimits, &r); n != len(input) || err != nil || r.Verb == Invalid {
			t.Errorf("%.30x: consumed %d of %d, fault %d, %v", input, n, len(input), r.Fault, err)
		}
	}
}

func TestParseBinaryDoesNotAllocate(t *testing.T) {
	input := packet(0x01, "12345678", "key", "value")
	var r Request
	if n := testing.AllocsPerRun(100, func() { ParseBinary(input, &testLimits, &r) }); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

func FuzzParseBinary(f *testing.F) {
	for opcode := range opcodes {
		op := &opcodes[opcode]
		f.Add(packet(byte(opcode), strings.Repeat("\x01", int(op.extras)), strings.Repeat("k", int(op.key)), strings.Repeat("v", int(op.value))))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var r Request
		sent := bytes.Clone(input)
		n, err := ParseBinary(input, &testLimits, &r)
		if !bytes.Equal(sent, input) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			if n != 0 || errors.Is(err, ErrIncomplete) && r.Need <= len(input) {
				t.Fatalf("consumed %d, need %d of %d with %v", n, r.Need, len(input), err)
			}
			return
		}
		body := int(binary.BigEndian.Uint32(input[8:]))
		if !r.Fatal && n+r.Swallow != binaryHeaderLen+body {
			t.Fatalf("consumed %d and swallowed %d of %d", n, r.Swallow, binaryHeaderLen+body)
		}
		if r.Verb == Invalid {
			if r.Fault == NoFault || r.Fault.Status().Text() == "" {
				t.Fatalf("fault %d has no words", r.Fault)
			}
			return
		}
		again := packet(r.Opcode, string(input[binaryHeaderLen:n-len(r.Key)-len(r.Value)]), string(r.Key), string(r.Value))
		if !bytes.Equal(again[binaryHeaderLen:], input[binaryHeaderLen:n]) {
			t.Fatalf("%x was read as %x", input[:n], again)
		}
	})
}
