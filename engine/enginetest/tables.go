// Package enginetest has disks that are slow in ways that a test or a benchmark
// chooses.
package enginetest

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Tables is a file system whose reads of tables take long, or wait until they may
// go on. Logs, and all writes, are as fast as ever. Its methods are safe for
// concurrent use.
type Tables struct {
	vfs.FS
	delay atomic.Int64 // nanoseconds

	mu      sync.Mutex
	changed sync.Cond // on mu
	holding bool
	held    int // reads that wait
}

// NewTables wraps fs; nil stands for the operating system's. Reads are not slowed
// at first.
func NewTables(fs vfs.FS) *Tables {
	if fs == nil {
		fs = vfs.Default
	}
	t := new(Tables)
	t.changed.L = &t.mu
	t.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind == errorfs.OpFileReadAt && strings.HasSuffix(o.Path, ".sst") {
			t.pass()
		}
		return nil
	}))
	return t
}

// Delay makes each read of a table take d longer.
func (t *Tables) Delay(d time.Duration) { t.delay.Store(int64(d)) }

// Hold makes reads of tables wait until Release.
func (t *Tables) Hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holding = true
}

// Release lets all reads go on.
func (t *Tables) Release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holding = false
	t.changed.Broadcast()
}

// Held returns how many reads wait for Release.
func (t *Tables) Held() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held
}

// AwaitHeld returns when at least n reads wait for Release.
func (t *Tables) AwaitHeld(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.held < n {
		t.changed.Wait()
	}
}

func (t *Tables) pass() {
	if d := t.delay.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.holding {
		return
	}
	t.held++
	t.changed.Broadcast()
	for t.holding {
		t.changed.Wait()
	}
	t.held--
}
