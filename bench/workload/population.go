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
	// states has an element for each session, written only by the connection
	// that owns it.
	states []state
}

// state is a session's revision as acknowledged and as last sent; 0 is none.
// They differ while a write is on its way, or after its answer was lost.
type state struct{ acked, sent uint32 }

// NewPopulation gives a population of which nothing is stored yet.
func NewPopulation(pool *payload.Pool, size int) *Population {
	return &Population{pool: pool, states: make([]state, size)}
}

// Size is the number of sessions.
func (p *Population) Size() int { return len(p.states) }

// Grow adds sessions, up to size in all. No flow may run meanwhile.
func (p *Population) Grow(size int) {
	p.states = append(p.states, make([]state, size-len(p.states))...)
}

// Bytes sums the keys and values that were stored, uncompressed.
func (p *Population) Bytes() int64 {
	var total int64
	for number, s := range p.states {
		if s.acked > 0 {
			total += int64(keyLen + p.pool.Size(uint64(number)))
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

// Forget takes all sessions as not stored, for a server that starts empty.
func (p *Population) Forget() { clear(p.states) }

// A session's key is 32 hexadecimal digits, like Tomcat's and PHP's.
const keyLen = 32

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

// Key gives the key of the session with that number.
func Key(number uint64) string {
	var b strings.Builder
	b.Write(appendKey(nil, number))
	return b.String()
}
