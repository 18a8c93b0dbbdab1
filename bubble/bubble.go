// Package bubble runs tests in bubbles of testing/synctest that the race
// detector bears.
package bubble

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

var one sync.Mutex // held by the bubble that runs

// Test is synctest.Test on one processor, one bubble at a time.
//
// Go's race detector has one context for all timers of a bubble (raceCtx of
// its timers in runtime/time.go, Go 1.26). Goroutines that wake at the same
// instant run their timers on several threads, in that one context, and the
// detector ends the process: with a segmentation violation, or with "CHECK
// failed: tsan_rtl.cpp". On one processor timers run one after the other.
func Test(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	one.Lock()
	defer one.Unlock()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, f)
}
