package session

// Store keeps items. Implementations are safe for concurrent use.
//
// Commands are deterministic: a store that applies the same bursts in the same
// order from the same state reaches the same state and returns the same results
// (Fetched and LastAccess aside). It reads neither a clock nor randomness.
//
// A burst is executed in the order of its commands, as of its Now, atomically
// with respect to a crash: after one, either all effects of the burst are there
// or none. Between bursts, each key is linearizable on its own; a burst is not
// isolated from others as a whole. Two bursts of which neither was complete
// when the other was applied may be carried out in any order.
//
// From Try or Apply on until the results are final, the burst and all bytes that
// its commands refer to belong to the store and must stay unchanged. The store
// copies what it keeps.
type Store interface {
	// Try answers b from memory if it can do so at once: all commands only
	// read, the store knows each item or its absence without asking a disk or
	// another machine, and what the results show is durable. It waits for
	// nothing. If it returns true, b.Results is final, and no result has
	// ErrUnavailable. Otherwise nothing has happened, b.Results is undefined,
	// and the burst is the caller's to pass to Apply. A read that claims an
	// item has to write, so Try leaves it alone.
	Try(b *Burst) bool

	// Apply carries out b. It waits for no disk, no network and no other burst.
	// When the results are final, and as durable as the store was configured to
	// make them, it tells the Completer, exactly once, from any goroutine,
	// possibly before Apply returns. A result that shows another burst's effect
	// waits for that effect's durability too, so no client ever sees what a
	// crash could take back.
	Apply(b *Burst, to Completer)
}

// A Completer is told of bursts that a store has carried out. Stores compare
// Completers with ==, so it is a pointer.
type Completer interface {
	// Complete takes over bursts whose results are final: those that became so
	// together, in the order in which they were carried out. The slice is valid
	// during the call only. Complete returns quickly, and calls no method of the
	// store that calls it.
	Complete(bursts []*Burst)
}

// Burst is an ordered group of commands that a Store carries out as one, and the
// place for their results. It is reused from one group to the next; it is not
// safe for concurrent use.
type Burst struct {
	// Now is the instant at which the burst was admitted. A store that has
	// seen a later one may use that instead.
	Now Time

	// Admission is what else was known when the burst was admitted.
	Admission

	// Patient says that the client sends nothing else before it has the answer, so
	// that a store may let it wait for a lock. It changes nothing of what a command
	// does to what is durable.
	Patient bool

	Commands []Command

	// Results has one element per command once the burst is complete. The bytes
	// in it may be the store's own or the commands' of this burst: they are
	// read-only, and valid until Reset as long as the commands' bytes stay
	// unchanged.
	Results []Result

	// Origin is where the burst comes from, for those who observe what it does;
	// nil: unknown. It has no influence on that.
	Origin Origin

	// Owner is what the caller likes to find when its Completer gets the burst.
	// Stores leave it alone, as does Reset.
	Owner any

	// Room, if it is not nil, bounds how much memory the results may take. Reset
	// leaves it alone.
	Room Room
}

// Room is memory for the values in the results of a burst. A store asks for it
// before it brings many bytes from the disk.
type Room interface {
	// Take asks for n bytes in all and reports whether they are there. If not,
	// the store lets the burst wait, and then is called once they are, from any
	// goroutine. It is called once at most for a burst; what was taken is given
	// back by whoever owns the burst.
	Take(n int64, then func()) bool
}

// Reset empties the burst, keeping its memory, and stamps it with now.
func (b *Burst) Reset(now Time) {
	b.Now, b.Origin = now, nil
	b.MaxValue, b.Full, b.Patient = 0, false, false
	clear(b.Frames)
	b.Frames = b.Frames[:0]
	clear(b.Commands)
	clear(b.Results)
	b.Commands = b.Commands[:0]
	b.Results = b.Results[:0]
}

// Add appends a zero command to the burst and returns it to be filled in. The
// pointer is valid until the next Add.
func (b *Burst) Add() *Command {
	b.Commands = append(b.Commands, Command{})
	return &b.Commands[len(b.Commands)-1]
}

// SizeResults makes Results one zero element per command. Stores call it when
// they begin with a burst.
func (b *Burst) SizeResults() {
	n := len(b.Commands)
	if cap(b.Results) < n {
		b.Results = make([]Result, n, cap(b.Commands))
		return
	}
	b.Results = b.Results[:n]
	clear(b.Results)
}

// FailAll makes every command of the burst Failed, because of err.
func (b *Burst) FailAll(err error) {
	b.SizeResults()
	for i := range b.Results {
		b.Results[i] = Result{Status: Failed, Err: err}
	}
}
