// Package processors decides on how many processors of Go's scheduler (GOMAXPROCS) the
// process runs.
//
// A processor that has nothing to do is expensive: whenever a goroutine wakes another one,
// Go starts a thread to run it there, and mostly that finds it done. So a server that is
// not busy runs on one. It runs on as many as it may use when one is nearly used up, and on
// one more while there is work in the background, so that the kernel, and not Go, which
// lets a goroutine run for 10 ms, shares them out between that and clients.
package processors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A quiet process is looked at every glance, a busy one every second: how much it
	// has used of one processor's time makes it busy, or quiet again.
	glance     = 100 * time.Millisecond
	busyAfter  = time.Second
	busyShare  = 0.75
	quietShare = 0.5

	// linger is how long a processor stays after the work it was there for: each change
	// stops all goroutines for some 50 µs.
	linger = time.Second
)

// manager is the package's state. A test has its own.
type manager struct {
	set func(n int)          // runtime.GOMAXPROCS
	cpu func() time.Duration // what the process has used

	on   atomic.Bool
	next atomic.Int64 // when Look does something, nanoseconds of Unix time

	mu      sync.Mutex
	most    int // for clients
	busy    bool
	seen    time.Time     // by the last look
	used    time.Duration // by then
	works   int           // in the background
	lingers bool          // the processor for them is there, or still is
	timer   *time.Timer   // ends that

	changing sync.Mutex // taken before mu
	have     int
}

var process = manager{set: func(n int) { runtime.GOMAXPROCS(n) }, cpu: allUsed}

func allUsed() time.Duration {
	user, system := Used()
	return user + system
}

// Manage lets the process run on most processors, as long as it is busy, which it is at
// first. It is called once, before anything else of this package, by a process whose work
// Look, Begin and End tell of. Without it they do nothing.
func Manage(most int) { process.manage(most, time.Now()) }

// Most is how many goroutines can do the work of clients at a time, when it is much.
func Most() int {
	if process.on.Load() {
		return process.most
	}
	return runtime.GOMAXPROCS(0)
}

// Look is called when work for clients begins, whatever front end it comes through, at the
// instant now. It is quick.
func Look(now time.Time) {
	if process.on.Load() && now.UnixNano() >= process.next.Load() {
		process.look(now)
	}
}

// Begin says that something begins, in the background or for a single client, that
// computes for milliseconds. It does not wait. End must be called afterwards.
func Begin() {
	if process.on.Load() {
		process.begin()
	}
}

// End says that what Begin has told of has ended.
func End() {
	if process.on.Load() {
		process.end()
	}
}

func (m *manager) manage(most int, now time.Time) {
	m.most, m.busy = most, true
	m.seen, m.used = now, m.cpu()
	m.next.Store(now.Add(busyAfter).UnixNano())
	m.on.Store(true)
	m.adjust()
}

func (m *manager) look(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.UnixNano() < m.next.Load() {
		return // another one has looked
	}
	cpu := m.cpu()
	passed, spent := now.Sub(m.seen), cpu-m.used
	m.seen, m.used = now, cpu
	share := float64(spent) / float64(passed)
	switch {
	case !m.busy && share >= busyShare:
		m.busy = true
		go m.adjust()
	case m.busy && share < quietShare:
		m.busy = false
		go m.adjust()
	}
	pause := glance
	if m.busy {
		pause = busyAfter
	}
	m.next.Store(now.Add(pause).UnixNano())
}

func (m *manager) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.works++
	if !m.lingers {
		m.lingers = true
		go m.adjust()
	}
}

func (m *manager) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.works--
	if m.works > 0 {
		return
	}
	if m.timer == nil {
		m.timer = time.AfterFunc(linger, m.leave)
		return
	}
	m.timer.Reset(linger)
}

// leave gives up the processor for work in the background, unless there is some again.
func (m *manager) leave() {
	m.mu.Lock()
	m.lingers = m.works > 0
	m.mu.Unlock()
	m.adjust()
}

// adjust makes the process run on as many processors as it should. It waits for garbage
// collection.
func (m *manager) adjust() {
	m.changing.Lock()
	defer m.changing.Unlock()
	if want := m.wanted(); want != m.have {
		m.set(want)
		m.have = want
	}
}

func (m *manager) wanted() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 1
	if m.busy {
		n = m.most
	}
	if m.lingers {
		n++
	}
	return n
}
