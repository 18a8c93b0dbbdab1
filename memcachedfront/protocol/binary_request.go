package protocol

import "encoding/binary"

const (
	// BinaryMagic is the first byte of every binary request; no text request
	// begins with it.
	BinaryMagic = 0x80

	// binaryHeaderLen is the length in bytes of the header of requests and
	// replies.
	binaryHeaderLen = 24

	// maxMechanismLen is the longest name of a SASL mechanism in bytes, and
	// maxSASLLen the longest message that one may need here.
	maxMechanismLen = 32
	maxSASLLen      = 1024
)

// opcode says what a binary request asks for and how it must be laid out:
// memcached's protocol-binary.xml, and in doubt what memcached accepts.
type opcode struct {
	verb   Verb
	quiet  bool
	extras uint8 // length in bytes
	key    presence
	value  presence
}

// presence says whether a part of a request may be empty.
type presence uint8

const (
	absent presence = iota
	optional
	required
)

func (p presence) allows(length int) bool {
	switch p {
	case absent:
		return length == 0
	case required:
		return length > 0
	}
	return true
}

// Extras of the opcodes that have some, in bytes.
const (
	storageExtras    = 8  // flags, exptime
	arithmeticExtras = 20 // delta, initial value, exptime
	exptimeExtras    = 4
	verbosityExtras  = 4
)

var opcodes = [256]opcode{
	0x00: {verb: Get, key: required},
	0x01: {verb: Set, extras: storageExtras, key: required, value: optional},
	0x02: {verb: Add, extras: storageExtras, key: required, value: optional},
	0x03: {verb: Replace, extras: storageExtras, key: required, value: optional},
	0x04: {verb: Delete, key: required},
	0x05: {verb: Incr, extras: arithmeticExtras, key: required},
	0x06: {verb: Decr, extras: arithmeticExtras, key: required},
	0x07: {verb: Quit},
	0x08: {verb: FlushAll}, // extras: see parseFlush
	0x09: {verb: Get, quiet: true, key: required},
	0x0a: {verb: Noop},
	0x0b: {verb: Version},
	0x0c: {verb: Get, key: required},
	0x0d: {verb: Get, quiet: true, key: required},
	0x0e: {verb: Append, key: required, value: optional},
	0x0f: {verb: Prepend, key: required, value: optional},
	0x10: {verb: Stats, key: optional},
	0x11: {verb: Set, quiet: true, extras: storageExtras, key: required, value: optional},
	0x12: {verb: Add, quiet: true, extras: storageExtras, key: required, value: optional},
	0x13: {verb: Replace, quiet: true, extras: storageExtras, key: required, value: optional},
	0x14: {verb: Delete, quiet: true, key: required},
	0x15: {verb: Incr, quiet: true, extras: arithmeticExtras, key: required},
	0x16: {verb: Decr, quiet: true, extras: arithmeticExtras, key: required},
	0x17: {verb: Quit, quiet: true},
	0x18: {verb: FlushAll, quiet: true},
	0x19: {verb: Append, quiet: true, key: required, value: optional},
	0x1a: {verb: Prepend, quiet: true, key: required, value: optional},
	0x1b: {verb: Verbosity, extras: verbosityExtras},
	0x1c: {verb: Touch, extras: exptimeExtras, key: required},
	0x1d: {verb: Gat, extras: exptimeExtras, key: required},
	0x1e: {verb: Gat, quiet: true, extras: exptimeExtras, key: required},
	0x20: {verb: SASLList},
	0x21: {verb: SASLAuth, key: required, value: optional},
	0x22: {verb: SASLStep, key: required, value: optional},
	0x23: {verb: Gat, extras: exptimeExtras, key: required},
	0x24: {verb: Gat, quiet: true, extras: exptimeExtras, key: required},
	0x60: {verb: Config, key: required}, // ElastiCache: config get
}

// ParseBinary reads the request at the front of buf as the binary protocol. It
// has the contract of ParseText. A request whose layout is wrong is Fatal, as
// it is for memcached: what follows it cannot be trusted.
func ParseBinary(buf []byte, limits *Limits, r *Request) (n int, err error) {
	r.Reset()
	if len(buf) > 0 && buf[0] != BinaryMagic {
		return 0, ErrHopeless
	}
	r.Need = binaryHeaderLen
	if len(buf) < binaryHeaderLen {
		return 0, ErrIncomplete
	}
	h := readBinaryHeader(buf)
	r.Opcode, r.Opaque, r.CAS = h.opcode, h.opaque, h.cas
	if fault, fatal := h.check(limits); fault != NoFault {
		r.refuse(fault)
		if r.Fatal = fatal; !fatal {
			r.Swallow = h.body
		}
		return binaryHeaderLen, nil
	}
	r.Need += h.body
	if len(buf) < r.Need {
		return 0, ErrIncomplete
	}
	r.readBody(&h, buf[binaryHeaderLen:r.Need:r.Need])
	return r.Need, nil
}

// binaryHeader is the header of a request. Lengths are in bytes.
type binaryHeader struct {
	opcode      byte
	opaque      uint32
	cas         uint64
	key, extras int
	body        int // extras, key and value
}

func readBinaryHeader(buf []byte) binaryHeader {
	return binaryHeader{
		opcode: buf[1],
		key:    int(binary.BigEndian.Uint16(buf[2:])),
		extras: int(buf[4]),
		body:   int(binary.BigEndian.Uint32(buf[8:])),
		opaque: binary.BigEndian.Uint32(buf[12:]),
		cas:    binary.BigEndian.Uint64(buf[16:]),
	}
}

// value is the length of the value. It is negative in a header that
// contradicts itself.
func (h *binaryHeader) value() int { return h.body - h.key - h.extras }

// check finds out from the header alone whether the request must be refused,
// in the order in which memcached does.
func (h *binaryHeader) check(limits *Limits) (f Fault, fatal bool) {
	op := &opcodes[h.opcode]
	switch {
	case h.value() < 0:
		return UnknownCommand, true
	case h.key > limits.MaxKeyLen:
		return BadFormat, true
	case op.verb == Invalid:
		return UnknownCommand, false
	case !h.fits(op):
		return BadFormat, true
	case op.verb == SASLAuth || op.verb == SASLStep:
		return h.checkSASL()
	case h.value() > limits.MaxValueSize:
		return TooLarge, false
	}
	return NoFault, false
}

// fits reports whether the request has the parts that its opcode needs, and no
// others.
func (h *binaryHeader) fits(op *opcode) bool {
	extras := h.extras == int(op.extras) || op.verb == FlushAll && h.extras == exptimeExtras
	return extras && op.key.allows(h.key) && op.value.allows(h.value())
}

func (h *binaryHeader) checkSASL() (f Fault, fatal bool) {
	switch {
	case h.key > maxMechanismLen:
		return BadFormat, false
	case h.value() > maxSASLLen:
		return AuthFailed, false
	}
	return NoFault, false
}

// readBody fills in r from a header that passed its check, and its body.
func (r *Request) readBody(h *binaryHeader, body []byte) {
	op := &opcodes[h.opcode]
	r.Verb, r.Quiet = op.verb, op.quiet
	extras, rest := body[:h.extras], body[h.extras:]
	r.Key, r.Value = rest[:h.key:h.key], rest[h.key:]
	switch h.extras {
	case storageExtras:
		r.Flags = binary.BigEndian.Uint32(extras)
		r.Exptime = int64(binary.BigEndian.Uint32(extras[4:]))
	case arithmeticExtras:
		r.Delta = binary.BigEndian.Uint64(extras)
		r.Initial = binary.BigEndian.Uint64(extras[8:])
		r.Exptime = int64(binary.BigEndian.Uint32(extras[16:]))
	case exptimeExtras: // and verbosityExtras
		r.Exptime = int64(binary.BigEndian.Uint32(extras))
	}
	switch r.Verb {
	case Stats, Config:
		r.Args = r.Key
	case Verbosity:
		r.Delta, r.Exptime = uint64(r.Exptime), 0
	}
}

// BinaryVerb returns the verb of an opcode, Invalid if it has none.
func BinaryVerb(opcode byte) Verb { return opcodes[opcode].verb }

// RepeatsKey reports whether the answer to the opcode contains the key, as that
// of getk and gatk and their quiet forms does.
func RepeatsKey(opcode byte) bool {
	switch opcode {
	case 0x0c, 0x0d, 0x23, 0x24:
		return true
	}
	return false
}

// NoVivify is the exptime of a binary incr or decr that must not create an
// absent item.
const NoVivify = 0xffffffff
