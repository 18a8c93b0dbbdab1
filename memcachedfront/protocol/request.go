// Package protocol turns bytes into memcached requests and replies into bytes,
// for the classic text, the meta and the binary protocol. It knows neither
// sockets nor storage and keeps no state: a parser gets the bytes that have
// arrived, and says what the first request in them is.
//
// The meaning of every command is that of memcached's doc/protocol.txt and
// doc/protocol-binary.xml.
package protocol

import "errors"

// Limits bound what a parser accepts. They are the same for all connections of
// a server.
type Limits struct {
	MaxKeyLen    int // bytes
	MaxValueSize int // bytes
}

// ErrIncomplete says that the request's end has not arrived yet.
// Request.Need tells how much there must be, if that is known already.
var ErrIncomplete = errors.New("protocol: incomplete request")

// ErrHopeless says that what arrived cannot become a request and that there is
// no way to find the next one: the connection must be closed.
var ErrHopeless = errors.New("protocol: not a memcached request")

// Request is one request of a client. It is reused from one to the next; its
// slices alias the input and are valid as long as that stays unchanged.
type Request struct {
	Verb  Verb
	Fault Fault // with Invalid

	// Quiet asks for no answer: noreply in text, q in meta, a quiet opcode in
	// binary. What is left unsaid depends on the protocol.
	Quiet bool

	Key []byte

	// Base64Key says that Key came in base64 (meta flag b) and was decoded.
	Base64Key bool

	// Keys are the keys of a retrieval behind the first, as they stand in the
	// line. See NextKey.
	Keys []byte

	// Value is the data block of a storage command, without its line end.
	Value []byte

	// Args are the arguments of an administrative verb, and the flags of a
	// meta command, as they stand in the line.
	Args []byte

	Flags   uint32
	Exptime int64  // as sent; see Expiry
	CAS     uint64 // to compare with; in binary 0 is none
	Delta   uint64
	Initial uint64 // of a vivified number

	// Of meta commands.
	Meta           MetaFlags
	Mode           byte   // 0: none
	NewCAS         uint64 // 0: none
	VivifyExptime  int64  // as sent; see Expiry
	RecacheExptime int64  // as sent; see Expiry

	// Of binary requests. The level of Verbosity is in Delta, the delay of
	// FlushAll in Exptime.
	Opcode byte
	Opaque uint32

	// Need is the length in bytes of the whole request if the parser could
	// tell, else 0. With ErrIncomplete it says how much input to wait for.
	Need int

	// Swallow is the number of bytes behind the consumed ones that belong to
	// an Invalid request and must be thrown away, whether they have arrived or
	// not, before it is answered.
	Swallow int

	// Fatal says that an Invalid request leaves no way to find the next one:
	// the connection must be closed once the answer is out.
	Fatal bool
}

// Reset makes r the zero Request.
func (r *Request) Reset() { *r = Request{} }

// Forget drops what aliases the input.
func (r *Request) Forget() { r.Key, r.Keys, r.Value, r.Args = nil, nil, nil, nil }

// refuse makes r an Invalid request.
func (r *Request) refuse(f Fault) {
	r.Verb = Invalid
	r.Fault = f
}

// NextKey splits the first key off the Keys of a Request. It returns nil when
// there is none.
func NextKey(keys []byte) (key, rest []byte) { return nextToken(keys) }
