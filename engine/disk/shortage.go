package disk

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cairn/durable"
)

// shortage is what a Disk knows of operations that have failed for want of
// something that comes back by itself; see Passing. Its methods may be called
// concurrently.
type shortage struct {
	options *Options
	relieve func() bool   // frees some space of the store's own, or reports that there is none left
	look    func()        // measures the free space anew
	free    *atomic.Int64 // what look has found

	waiting atomic.Int32 // operations without which nothing can be written
	over    chan struct{}
	end     sync.Once

	mu       sync.Mutex
	failures int       // of tables in a row
	nextLine time.Time // when the log may say again that something is short
	short    bool      // the log has said so, and not that it is over
}

const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second

	// A table is written again after tableRetry at most. Before, it is if there
	// are roomForTable bytes of free space.
	tableRetry   = 5 * time.Second
	roomForTable = 1 << 20

	// openPatience bounds how long a read waits for a file descriptor.
	openPatience = 2 * time.Second

	remindEvery = time.Minute
)

// reasonOf says in words what err, which is Passing, is about.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "the file system has become read-only"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "there are no file descriptors left"
	case errors.Is(err, syscall.EDQUOT):
		return "the disk quota is used up"
	}
	return "the disk is full"
}

func newShortage(o *Options, relieve func() bool, look func(), free *atomic.Int64) *shortage {
	return &shortage{options: o, relieve: relieve, look: look, free: free, over: make(chan struct{})}
}

// retry calls try until it succeeds, or fails for another reason than a
// shortage, or the store gives up. It is for what the store cannot do without.
func (s *shortage) retry(try func() error) error {
	err := try()
	if err == nil || !durable.Passing(err) {
		return err
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	for pause := firstRetry; durable.Passing(err); pause = min(2*pause, lastRetry) {
		if !s.eased(err) && !s.rest(pause) {
			return err
		}
		err = try()
	}
	if err == nil {
		s.pass()
	}
	return err
}

// eased frees space of the store's own if that is what err is about.
func (s *shortage) eased(err error) bool {
	s.look()
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && s.relieve() {
		return true
	}
	s.tell(err)
	return false
}

// delay is called with the outcome of writing a part of a table, which is written
// anew as a whole when it fails: at once, if there is something to give up for
// it, else not before it has a chance.
func (s *shortage) delay(err error) error {
	if err == nil || !durable.Passing(err) {
		return err
	}
	if s.eased(err) {
		return err
	}
	s.mu.Lock()
	s.failures++
	pause := min(firstRetry<<min(s.failures, 10), lastRetry)
	s.mu.Unlock()
	for begun := time.Now(); s.rest(pause) && time.Since(begun) < tableRetry; {
		s.look()
		if free := s.free.Load(); free == 0 || free >= roomForTable {
			return err
		}
	}
	time.Sleep(firstRetry) // also at the end
	return err
}

// finished is called when a table has been written.
func (s *shortage) finished() {
	s.mu.Lock()
	failed := s.failures > 0
	s.failures = 0
	s.mu.Unlock()
	if failed {
		s.pass()
	}
}

// await calls try until it does not fail for want of a file descriptor, or for
// openPatience.
func (s *shortage) await(try func() error) error {
	err := try()
	for begun := time.Now(); err != nil && durable.Passing(err) && time.Since(begun) < openPatience; err = try() {
		s.tell(err)
		if !s.rest(firstRetry) {
			break
		}
	}
	return err
}

// rest waits for d, or reports that the store has given up.
func (s *shortage) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.over:
		return false
	}
}

// giveUp makes everything that waits fail.
func (s *shortage) giveUp() { s.end.Do(func() { close(s.over) }) }

// tell logs what is short, now and then, and lets Options.Short know.
func (s *shortage) tell(err error) {
	s.mu.Lock()
	now := time.Now()
	due := !s.short || now.After(s.nextLine)
	s.short = true
	if due {
		s.nextLine = now.Add(remindEvery)
	}
	s.mu.Unlock()
	if due {
		s.options.Logger.Error("writes wait for the disk, and resume by themselves", "reason", reasonOf(err), "error", err)
	}
	if s.options.Short != nil {
		s.options.Short()
	}
}

// pass logs that nothing is short any more, if it was.
func (s *shortage) pass() {
	s.mu.Lock()
	was := s.short
	s.short = s.waiting.Load() > 1 || s.failures > 0
	passed := was && !s.short
	s.mu.Unlock()
	if passed {
		s.options.Logger.Info("the disk accepts writes again")
	}
}
