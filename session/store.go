package session

// Store keeps items. Implementations are safe for concurrent use.
//
// Commands are deterministic: a store that applies the same bursts in the same
// order from the same state reaches the same state and gives the same results
// (Fetched and LastAccess aside). It reads neither a clock nor randomness.
type Store interface {
	// Apply executes the commands of b in order, as of b.Now, atomically with
	// respect to a crash: after one, either all effects of the burst are there
	// or none. Between bursts, each key is linearizable on its own; a burst is
	// not isolated from others as a whole.
	//
	// Apply does not wait for durability. If it returns nil, b.Results is
	// final. Otherwise the caller calls Wait on the Commit, exactly once, and
	// lets no result out before that returns. A result that shows another
	// burst's effect waits for that effect's durability too, so no client ever
	// sees what a crash could take back.
	//
	// b, with all bytes its commands refer to, must stay unchanged until the
	// results are final. The store copies what it keeps.
	Apply(b *Burst) Commit
}

// Commit is a burst on its way to durability.
type Commit interface {
	// Wait blocks until the burst's results are final and as durable as the
	// store was configured to make them. Commands that could not be committed
	// have the status Failed then. The Commit must not be used afterwards.
	Wait()
}

// Burst is an ordered group of commands that a Store applies as one, and the
// place for their results. It is reused from one group to the next; it is not
// safe for concurrent use.
type Burst struct {
	// Now is the instant at which the burst was admitted. A store that has
	// seen a later one may use that instead.
	Now Time

	// Admission is what else was known when the burst was admitted.
	Admission

	Commands []Command

	// Results has one element per command once Apply is done. The bytes in it
	// may be the store's own or the commands': they are read-only, and valid
	// until Reset as long as the commands' bytes stay unchanged.
	Results []Result
}

// Reset empties the burst, keeping its memory, and stamps it with now.
func (b *Burst) Reset(now Time) {
	b.Now = now
	b.MaxValue, b.Full = 0, false
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

// SizeResults gives Results one zero element per command. Stores call it when
// Apply begins.
func (b *Burst) SizeResults() {
	n := len(b.Commands)
	if cap(b.Results) < n {
		b.Results = make([]Result, n, cap(b.Commands))
		return
	}
	b.Results = b.Results[:n]
	clear(b.Results)
}

// Do applies b and waits until its results are final.
func Do(s Store, b *Burst) {
	if commit := s.Apply(b); commit != nil {
		commit.Wait()
	}
}
