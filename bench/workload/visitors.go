package workload

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"cairn/bench/load"
)

// Options are what the kinds of traffic have in common.
type Options struct {
	// Timeout is the idle time after which the application lets a session
	// end. Default 30 minutes.
	Timeout time.Duration

	// Depth is how many operations go out at once where the traffic is not a
	// sequence of its own. Default 1.
	Depth int

	// Hot restricts the traffic to that many of the sessions; 0: all.
	Hot int

	// Skew prefers some sessions, by Zipf's law with that exponent, which must
	// be above 1; 0: all are alike.
	Skew float64

	// Newcomers is the part of the requests, in percent, that come from new
	// visitors who do not come back, in traffic that has both.
	Newcomers int

	// Validity says that the sessions have the small item beside them that
	// memcached-session-manager keeps, and Fill stores it too.
	Validity bool

	// Strict takes a stored session that is not found before its time as a
	// wrong answer.
	// Otherwise the visitor gets a new one, as from a server that forgets.
	Strict bool

	Seed uint64
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Minute
	}
	if o.Depth == 0 {
		o.Depth = 1
	}
	return o
}

// ttl is the exptime in seconds with which sessions are stored.
func (o *Options) ttl() int64 { return int64(o.Timeout / time.Second) }

// visitors are the sessions of one connection. Flows embed it: they ask for
// operations, and it checks the answers.
type visitors struct {
	*Population
	options       Options
	first, stride uint64 // it owns sessions first, first+stride, ...
	rng           *rand.Rand
	zipf          *rand.Zipf

	// The exchange on its way: the bytes of its operations, and what is
	// expected of each answer, in order.
	memory   []byte
	expected []expectation
	answered int
	gone     bool // some session of the exchange was not there
}

// expectation is what one answer should be.
type expectation struct {
	number uint64
	what   content
	sent   uint32 // the revision of a Set
}

// content is what a key holds.
type content uint8

const (
	session  content = iota
	validity         // the small item that memcached-session-manager keeps beside it
	ping             // an Add that must not succeed
	stranger         // a session that nobody stored
	pristine         // a session that is stored once and not tracked
)

func newVisitors(p *Population, connection, connections int, o Options) visitors {
	p.validity = p.validity || o.Validity
	v := visitors{
		Population: p, options: o.withDefaults(),
		first: uint64(connection), stride: uint64(connections),
		rng: rand.New(rand.NewPCG(o.Seed, uint64(connection))),
	}
	if o.Skew > 1 {
		v.zipf = rand.NewZipf(v.rng, o.Skew, 1, uint64(max(v.used(), 1)-1))
	}
	return v
}

// owned is how many sessions the connection has.
func (v *visitors) owned() int {
	return (v.Size() - int(v.first) + int(v.stride) - 1) / int(v.stride)
}

// nth returns the i-th session of the connection.
func (v *visitors) nth(i int) uint64 { return v.first + uint64(i)*v.stride }

// used is how many of them it uses.
func (v *visitors) used() int {
	if v.options.Hot == 0 {
		return v.owned()
	}
	return min(max(v.options.Hot/int(v.stride), 1), v.owned())
}

// pick chooses a session.
func (v *visitors) pick() uint64 {
	i := uint64(0)
	if v.zipf != nil {
		i = v.zipf.Uint64()
	} else {
		i = v.rng.Uint64N(uint64(v.used()))
	}
	return v.nth(int(i))
}

// begin clears the last exchange.
func (v *visitors) begin() {
	v.memory, v.expected, v.answered, v.gone = v.memory[:0], v.expected[:0], 0, false
}

func (v *visitors) key(number uint64, what content) []byte {
	start := len(v.memory)
	if what == validity {
		v.memory = append(v.memory, validityPrefix...)
	}
	v.memory = appendKey(v.memory, v.base+number)
	return v.memory[start:]
}

func (v *visitors) get(number uint64, what content) load.Op {
	v.expected = append(v.expected, expectation{number: number, what: what})
	return load.Op{Kind: load.Get, Key: v.key(number, what)}
}

// set stores the next revision of a session.
func (v *visitors) set(number uint64, ttl int64) load.Op {
	s := &v.states[number]
	s.sent++
	s.until = end(ttl)
	v.expected = append(v.expected, expectation{number, session, s.sent})
	key := v.key(number, session)
	start := len(v.memory)
	v.memory = v.pool.Append(v.memory, v.base+number, s.sent)
	return load.Op{Kind: load.Set, Key: key, Value: v.memory[start:], Exptime: ttl}
}

// setPristine stores a session outside the population.
func (v *visitors) setPristine(number uint64, ttl int64) load.Op {
	v.expected = append(v.expected, expectation{number: number, what: pristine})
	key := v.key(number, session)
	start := len(v.memory)
	v.memory = v.pool.Append(v.memory, v.base+number, 1)
	return load.Op{Kind: load.Set, Key: key, Value: v.memory[start:], Exptime: ttl}
}

// setValidity stores the 20 bytes that memcached-session-manager keeps of a
// session's validity: its timeout and two times.
func (v *visitors) setValidity(number uint64, ttl int64) load.Op {
	v.expected = append(v.expected, expectation{number: number, what: validity})
	key := v.key(number, validity)
	start := len(v.memory)
	v.memory = binary.BigEndian.AppendUint32(v.memory, uint32(v.options.ttl()))
	v.memory = binary.BigEndian.AppendUint64(v.memory, number)
	v.memory = binary.BigEndian.AppendUint64(v.memory, v.rng.Uint64())
	return load.Op{Kind: load.Set, Key: key, Value: v.memory[start:], Exptime: ttl}
}

// end returns the earliest instant, in Unix seconds, at which a server may let a
// session end that is stored for ttl seconds from now on.
func end(ttl int64) uint32 { return uint32(time.Now().Unix() + ttl - 1) }

func (v *visitors) touch(number uint64) load.Op {
	v.states[number].until = end(v.options.ttl())
	v.expected = append(v.expected, expectation{number: number})
	return load.Op{Kind: load.Touch, Key: v.key(number, session), Exptime: v.options.ttl()}
}

// ping is memcached-session-manager's question whether a session that did not
// change is still there: an add that must fail.
func (v *visitors) ping(number uint64) load.Op {
	v.expected = append(v.expected, expectation{number: number, what: ping})
	key := v.key(number, session)
	start := len(v.memory)
	v.memory = append(v.memory, '1')
	return load.Op{Kind: load.Add, Key: key, Value: v.memory[start:], Exptime: 5}
}

// Check implements load.Flow.
func (v *visitors) Check(op *load.Op, a load.Answer) bool {
	want := v.expected[v.answered]
	v.answered++
	if a.Outcome == load.Refused {
		return true // it is counted as such
	}
	switch {
	case want.what == stranger:
		return a.Outcome == load.Absent
	case want.what == pristine:
		return a.Outcome == load.Done
	case want.what == ping:
		if a.Outcome == load.Done { // the session had gone
			return v.lost(want)
		}
		return true
	case op.Kind == load.Set:
		if want.what == session {
			v.states[want.number].acked = want.sent
		}
		return a.Outcome == load.Done
	case a.Outcome == load.Absent:
		return v.lost(want)
	case op.Kind == load.Touch:
		return true
	case want.what == validity:
		return len(a.Value) == validityLen && bytes.Equal(a.Value[4:12], binary.BigEndian.AppendUint64(nil, want.number))
	}
	revision, ok := v.pool.Revision(a.Value, v.base+want.number)
	s := v.states[want.number]
	return ok && s.acked <= revision && revision <= s.sent
}

// lost handles a session, or the item beside it, that was not found.
func (v *visitors) lost(want expectation) bool {
	v.gone = true
	s := &v.states[want.number]
	expected := s.acked > 0 && time.Now().Unix() < int64(s.until) && (want.what != validity || v.options.Validity)
	return !v.options.Strict || !expected
}
