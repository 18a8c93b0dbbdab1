// Package workload holds the kinds of traffic that session servers see, as
// flows for bench/load. The flows know what they stored, and check every
// answer against it.
package workload

import (
	"encoding/hex"
	"strings"

	"cairn/bench/payload"
)

// Population is a number of sessions and what a server should hold of each. It
// is divided among connections: each session is used by one of them only, as a
// visitor's requests come one after another.
type Population struct {
	pool *payload.Pool
	base uint64 // the first session's number outside
	// states has an element for each session, written only by the connection
	// that owns it.
	states []state
	// validity says that the sessions have the item beside them.
	validity bool
}

// state is a session's revision as acknowledged and as last sent; 0 is none.
// They differ while a write is on its way, or after its answer was lost.
type state struct {
	acked, sent uint32

	// until is when the session may end, in Unix seconds.
	until uint32
}

// NewPopulation returns a population of which nothing is stored yet. Its sessions
// have the numbers from base on; populations with other numbers have other
// keys.
func NewPopulation(pool *payload.Pool, base uint64, size int) *Population {
	return &Population{pool: pool, base: base, states: make([]state, size)}
}

// Size is the number of sessions.
func (p *Population) Size() int { return len(p.states) }

// Grow adds sessions, up to size in all. No flow may run meanwhile.
func (p *Population) Grow(size int) {
	p.states = append(p.states, make([]state, size-len(p.states))...)
}

// Bytes sums the keys and values that were stored, uncompressed.
func (p *Population) Bytes() int64 {
	var total, beside int64
	if p.validity {
		beside = int64(validityKeyLen + validityLen)
	}
	for number, s := range p.states {
		if s.acked > 0 {
			total += int64(keyLen+p.pool.Size(p.base+uint64(number))) + beside
		}
	}
	return total
}

// Stored counts the sessions that the server acknowledged.
func (p *Population) Stored() (n int) {
	for _, s := range p.states {
		if s.acked > 0 {
			n++
		}
	}
	return n
}

// A session's key is 32 hexadecimal digits, like Tomcat's and PHP's; that of
// the item beside it has a prefix.
const (
	keyLen         = 32
	validityPrefix = "validity:"
	validityKeyLen = len(validityPrefix) + keyLen
	validityLen    = 20 // of the item's value
)

// appendKey appends the key of the session with that number. Keys scatter.
func appendKey(dst []byte, number uint64) []byte {
	var raw [keyLen / 2]byte
	x := number
	for i := range raw {
		if i%8 == 0 {
			x = (x + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
			x = (x ^ x>>29) * 0x94d049bb133111eb
			x ^= x >> 32
		}
		raw[i] = byte(x >> (i % 8 * 8))
	}
	return hex.AppendEncode(dst, raw[:])
}

// Key returns the key of the session with that number.
func Key(number uint64) string {
	var b strings.Builder
	b.Write(appendKey(nil, number))
	return b.String()
}
