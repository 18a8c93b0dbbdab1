package engine

import (
	"runtime"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/session"
)

// begun is a burst that a store has begun to carry out.
type begun struct {
	burst *session.Burst
	done  chan struct{}
}

// begin lets s carry out b.
func begin(s *Store, b *session.Burst) *begun {
	run := &begun{b, make(chan struct{})}
	if s.Try(b) {
		close(run.done)
	} else {
		s.Apply(b, run)
	}
	return run
}

// start lets s carry out commands at its present instant.
func start(s *Store, commands ...session.Command) *begun {
	return begin(s, &session.Burst{Now: s.Now(), Commands: commands})
}

func (b *begun) Complete([]*session.Burst) { close(b.done) }
func (b *begun) wait()                     { <-b.done }

func (b *begun) isDone() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// startApplied is start, and returns once a batch has been applied and shared,
// perhaps before it is durable.
func startApplied(s *Store, commands ...session.Command) *begun {
	before := s.tickets.applied.Load()
	b := start(s, commands...)
	for s.tickets.applied.Load() == before {
		runtime.Gosched()
	}
	s.doors.gate.Lock() // who applies holds it
	defer s.doors.gate.Unlock()
	return b
}

// giveTime lets the other goroutines do what they can do without this one.
func giveTime() {
	for range 1000 {
		runtime.Gosched()
	}
}

// logGate holds up syncs of logs while it is shut.
type logGate struct {
	vfs.FS
	mu     sync.Mutex
	opened chan struct{} // nil: it is open
}

func newLogGate(fs vfs.FS) *logGate {
	g := new(logGate)
	g.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if isLog(o) && isSync(o) {
			g.pass()
		}
		return nil
	}))
	return g
}

func (g *logGate) pass() {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened != nil {
		<-opened
	}
}

func (g *logGate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
}

func (g *logGate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
	g.opened = nil
}

// mustWait checks that b is not complete, gives it time to become so wrongly,
// and returns.
func mustWait(t *testing.T, b *begun, what string) {
	t.Helper()
	giveTime()
	if b.isDone() {
		t.Errorf("%s did not wait for the log", what)
	}
}
