// Package load puts load on a session server and measures how it answers.
//
// A Flow decides what one connection does; Run carries out one Flow on each
// connection, either as fast as answers come (closed loop) or at a fixed rate
// (open loop). In the open loop the latency of a turn counts from the instant
// at which it was due, not from when a connection was free for it, so that a
// stalled server cannot hide the requests it delayed (coordinated omission).
package load

import (
	"time"

	"cairn/bench/dialect"
)

// Dialect is the client's half of a wire protocol. The clients in
// bench/dialect are Dialects.
type Dialect interface {
	AppendGet(dst, key []byte) []byte
	AppendGetMulti(dst []byte, keys [][]byte) []byte
	AppendStore(dst []byte, verb dialect.Verb, key, value []byte, flags uint32, exptime int64) []byte
	AppendTouch(dst, key []byte, exptime int64) []byte
	AppendDelete(dst, key []byte) []byte
	AppendQuit(dst []byte) []byte
	Next(buf []byte) (dialect.Reply, int, error)
}

// Ender is a Dialect that adds something behind the requests of each exchange.
type Ender interface{ AppendEnd(dst []byte) []byte }

// Kind says what an Op does.
type Kind uint8

const (
	Get Kind = iota
	GetMulti
	Set
	Add
	Touch
	Delete
	Kinds // how many there are
)

func (k Kind) String() string {
	return [...]string{"get", "multiget", "set", "add", "touch", "delete"}[k]
}

// Op is one operation of a client. Its bytes belong to the Flow and stay as
// they are until the next call of Flow.Next.
type Op struct {
	Kind    Kind
	Key     []byte
	Keys    [][]byte // of GetMulti, instead of Key
	Value   []byte   // of Set and Add
	Exptime int64    // as in memcached: seconds from now, or Unix above 30 days; 0 never
}

// Outcome is what became of an Op.
type Outcome uint8

const (
	Done    Outcome = iota // found, stored, touched or deleted
	Absent                 // no such item, or for an Add: there is one
	Refused                // an error from the server
)

// Answer is what came back for an Op. GetMulti has one for each of its keys,
// in their order.
type Answer struct {
	Item    int // index of the key in Op.Keys
	Outcome Outcome
	Value   []byte // what was read, or the server's message if Refused
}

// Flow is the behaviour of one connection. A turn, which in the open loop has
// an instant at which it is due, is a sequence of exchanges; an exchange is a
// number of operations sent at once and then all awaited.
type Flow interface {
	// Next appends the operations of the next exchange to ops, which is empty.
	// Adding none ends the turn; adding none at the start of a turn ends the
	// flow.
	Next(ops []Op) []Op

	// Check takes an answer to an operation of the exchange and reports
	// whether it is right. The Value is valid only during the call.
	Check(op *Op, a Answer) bool
}

// Options describe a run.
type Options struct {
	Address string // TCP, host:port
	Dialect func() Dialect
	Flows   []Flow // one for each connection

	Duration time.Duration // stop beginning turns then; 0: when all flows end
	Rate     float64       // turns per second over all connections; 0: closed loop
	Drain    time.Duration // how long to wait at the end for turns already due; default 30 s
	Interval time.Duration // resolution of Result.Timeline; 0: none

	// Reconnect gives each turn a connection of its own: connect, the turn's
	// exchanges, quit, and the wait for the server to close. A turn's latency
	// has all of that in it, an operation's has not. RunOrdinary cannot do it.
	Reconnect bool

	Workers int   // threads; default 1
	CPUs    []int // which they may run on; default any

	// Started is called when all connections are up, just before the first
	// turn.
	Started func()
}

// backlogLimit is how long a run without progress may last before it fails.
const backlogLimit = 60 * time.Second

func (o *Options) setDefaults() {
	if o.Workers == 0 {
		o.Workers = 1
	}
	o.Workers = min(o.Workers, len(o.Flows))
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
}
