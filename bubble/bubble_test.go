package bubble

import (
	"sync"
	"testing"
	"time"
)

// TestManyTimers has 300 goroutines that run timers at the same instants: one
// that has expired already is run by who asks for it.
func TestManyTimers(t *testing.T) {
	Test(t, func(t *testing.T) {
		start := time.Now()
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() {
				for range 100 {
					<-time.NewTimer(time.Second).C
					<-time.NewTimer(0).C
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 100*time.Second {
			t.Errorf("a hundred seconds took %v", took)
		}
	})
}
