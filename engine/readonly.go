package engine

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"cairn/engine/disk"
	"cairn/session"
	"cairn/ttl"
)

// ReadOnly reports whether the store was opened to be read only.
func (s *Store) ReadOnly() bool { return s.options.ReadOnly }

// frozen reports whether nothing can be written at present, so that commands that
// would are refused. What an external log says is applied all the same.
func (s *Store) frozen() bool {
	return s.options.ReadOnly || !s.options.ExternalLog && s.files.disk.Exhausted()
}

// hideAll makes all items invisible, in a store that is only read: its pending
// flush is due. The gate is held.
func (s *Store) hideAll() {
	s.memory.buckets.remove(ttl.Forever)
	s.flushes.epoch.Add(1)
	s.flushes.plan(session.Never)
}

// standIn is what a store that is being opened and the one that is read meanwhile
// know of each other. The tables of the reader stay until it is closed.
type standIn struct {
	mu     sync.Mutex
	disk   *disk.Disk // of the store; nil: it has not begun
	open   bool       // the store has its files; nobody needs to stand in any more
	reader bool       // there is one that stands in
}

// forStore is called by the store before it opens its files, and setOpen after
// that.
func (i *standIn) forStore(d *disk.Disk) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.disk = d
	d.Keep()
}

func (i *standIn) setOpen() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open = true
	if !i.reader {
		i.letGo()
	}
}

// begin opens a store to be read, unless it is too late for that.
func (i *standIn) begin(o Options) (*Store, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open {
		return nil, nil
	}
	o.ReadOnly, o.JustClosed = true, true
	s, err := Open(o)
	i.reader = err == nil
	return s, err
}

// end is called when the reader is closed.
func (i *standIn) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reader = false
	i.letGo()
}

func (i *standIn) letGo() {
	if i.disk != nil {
		_ = i.disk.LetGo() // what is left the next start removes
	}
}

const (
	// fullDiskPatience is how long OpenSoon waits for space.
	fullDiskPatience = time.Second

	standInTries = 10
)

// OpenSoon opens the store like Open, unless that has to wait because the disk is
// full, or takes no writes for another reason that may pass. Then it returns a
// store that is only read (Options.ReadOnly), and calls opened when the store
// itself is open, or cannot be opened, which may be never. Then the reader is to
// be closed.
func OpenSoon(o Options, opened func(*Store, error)) (*Store, error) {
	waits := make(chan struct{}, 1)
	o.standIn = new(standIn)
	writer := o
	writer.short = func() {
		select {
		case waits <- struct{}{}:
		default:
		}
	}
	outcome := openInBackground(writer)
	select {
	case r := <-outcome:
		return r.store, r.err
	case <-waits:
	}
	return standInFor(o, outcome, opened)
}

// openOutcome is what Open returned.
type openOutcome struct {
	store *Store
	err   error
}

func openInBackground(o Options) <-chan openOutcome {
	outcome := make(chan openOutcome, 1)
	go func() {
		s, err := Open(o)
		outcome <- openOutcome{s, err}
	}()
	return outcome
}

// standInFor returns the store if it is open soon, or else one to read. What
// opens the store changes its files meanwhile, so that to read them may take more
// than one attempt.
func standInFor(o Options, outcome <-chan openOutcome, opened func(*Store, error)) (*Store, error) {
	var reader *Store
	var err error
	for range standInTries {
		select {
		case r := <-outcome:
			return r.store, r.err
		case <-time.After(fullDiskPatience):
		}
		if reader, err = o.standIn.begin(o); reader != nil {
			go func() {
				r := <-outcome
				opened(r.store, r.err)
			}()
			return reader, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("engine: open %s: %w", o.Dir, session.ErrNoSpace), err)
}
