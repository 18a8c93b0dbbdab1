package processors

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/bubble"
)

// world is a manager whose processors are only counted, in a bubble.
type world struct {
	manager
	t     *testing.T
	mu    sync.Mutex
	spent time.Duration
	sets  []int
}

func newWorld(t *testing.T, most int) *world {
	w := &world{t: t}
	w.cpu = func() time.Duration { return w.spent }
	w.set = func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sets = append(w.sets, n)
	}
	w.manage(most, time.Now())
	return w
}

// pass lets d pass, of which share is spent on a processor, and then a client's work begin.
func (w *world) pass(d time.Duration, share float64) {
	time.Sleep(d)
	w.spent += time.Duration(share * float64(d))
	if now := time.Now(); now.UnixNano() >= w.next.Load() {
		w.look(now)
	}
	synctest.Wait()
}

// want checks how many processors there were since the last call, one after the other.
func (w *world) want(sets ...int) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.sets, sets) {
		w.t.Errorf("processors: %v, want %v", w.sets, sets)
	}
	w.sets = nil
}

func TestBusyAndQuiet(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		w.want(4)
		w.pass(busyAfter/2, 0)
		w.want() // it is too early to tell
		w.pass(busyAfter/2, 1)
		w.want() // half a processor was used
		w.pass(busyAfter, 0.4)
		w.want(1)
		for range 20 {
			w.pass(glance, 0.7)
		}
		w.want()
		w.pass(glance/2, 3)
		w.want() // it has not looked yet
		w.pass(glance/2, 3)
		w.want(4)
		w.pass(busyAfter, 0.6)
		w.want()
		w.pass(busyAfter, 0.1)
		w.want(1)
		// After a pause, what is spent does not count as spent in the pause.
		w.pass(time.Hour, 0)
		w.pass(glance, 1)
		w.want(4)
	})
}

func TestOneProcessorForClients(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.pass(busyAfter, 0.1)
		w.pass(glance, 1)
		w.want(1)
	})
}

func TestBackground(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.pass(busyAfter, 0)
		w.want(2, 1)
		w.begin()
		w.want(2)
		w.begin()
		w.end()
		w.pass(10*linger, 0)
		w.want() // one is still at work
		w.end()
		w.pass(linger/2, 0)
		w.begin()
		w.end()
		w.pass(linger*3/4, 0)
		w.want() // it is the last end that counts
		w.pass(glance, 1)
		w.want(3) // and busy
		w.pass(linger, 1)
		w.want(2)
	})
}

// TestWorkWhileItLingers begins work at the instant at which the processor for it goes.
func TestWorkWhileItLingers(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		for range 100 {
			w.begin()
			w.end()
			time.Sleep(linger)
			w.begin()
			synctest.Wait()
			if n := w.wanted(); n != 2 {
				t.Fatalf("%d processors while somebody works", n)
			}
			w.end()
			time.Sleep(2 * linger)
			synctest.Wait()
			if n := w.wanted(); n != 1 {
				t.Fatalf("%d processors while nobody works", n)
			}
		}
		if last := w.sets[len(w.sets)-1]; last != 1 {
			t.Errorf("%d processors in the end", last)
		}
	})
}

// TestConcurrently is for the race detector.
func TestConcurrently(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.cpu = func() time.Duration { return 0 }
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1000 {
					w.begin()
					w.look(time.Now())
					w.end()
				}
			})
		}
		all.Wait()
		time.Sleep(2 * linger)
		w.look(time.Now())
		synctest.Wait()
		if n := w.wanted(); n != 1 {
			t.Errorf("%d processors in the end", n)
		}
	})
}

// TestUnmanaged is how all other tests, and programs that serve nobody, run.
func TestUnmanaged(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	Begin()
	Look(time.Now().Add(time.Hour))
	End()
	if n := runtime.GOMAXPROCS(0); n != before || Most() != before {
		t.Errorf("%d processors, %d at most, were %d", n, Most(), before)
	}
}

func TestUsed(t *testing.T) {
	before := allUsed()
	for begun := time.Now(); allUsed() < before+20*time.Millisecond; {
		if time.Since(begun) > time.Minute {
			t.Fatal("a minute of work used no processor")
		}
	}
}
