package auth

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/bubble"
	"cairn/origin"
)

// host is the origin with that number.
func host(n int) origin.Origin {
	return origin.OfAddr(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
}

func TestOriginsTakeTurns(t *testing.T) {
	q := turns{most: 100, perLane: 10}
	var waiting []*waiter
	for _, n := range []int{1, 1, 1, 2, 3, 1} {
		waiting = append(waiting, q.push(host(n)))
	}
	var order []int
	for q.next() {
		i := slices.IndexFunc(waiting, func(w *waiter) bool { return len(w.heard) > 0 })
		<-waiting[i].heard
		order = append(order, i)
	}
	if want := []int{0, 3, 4, 1, 2, 5}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if q.length != 0 || len(q.lanes) != 0 || len(q.order) != 0 {
		t.Errorf("the empty queue is %+v", q)
	}
}

func TestTheLongestLaneMakesRoom(t *testing.T) {
	q := turns{most: 4, perLane: 3}
	var many []*waiter
	for range 3 {
		many = append(many, q.push(host(1)))
	}
	if q.push(host(1)) != nil {
		t.Error("a lane is longer than it may be")
	}
	for n := 2; n <= 4; n++ {
		if q.push(host(n)) == nil {
			t.Errorf("no place for host %d", n)
		}
	}
	if q.push(host(5)) != nil || q.length != 4 {
		t.Errorf("%d wait, %d may", q.length, q.most)
	}
	for i, displaced := range []bool{false, true, true} {
		if (len(many[i].heard) > 0) != displaced {
			t.Errorf("number %d was displaced: %v", i, !displaced)
		}
	}
}

func TestPaceBoundsAttempts(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := NewPace(3, time.Second)
		begin := time.Now()
		var mu sync.Mutex
		var entered []time.Duration
		refused := 0
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ok := p.Enter(t.Context(), host(1))
				mu.Lock()
				defer mu.Unlock()
				if ok {
					entered = append(entered, time.Since(begin))
				} else {
					refused++
				}
			})
		}
		wg.Wait()
		slices.Sort(entered)
		want := []time.Duration{0, 0, 0}
		for n := range longestWait / time.Second {
			want = append(want, (n+1)*time.Second)
		}
		// The last one and the end of its wait come at the same moment.
		if !slices.Equal(entered, want) && !slices.Equal(entered, want[:len(want)-1]) {
			t.Errorf("entered at %v, want %v", entered, want)
		}
		if len(entered)+refused != 100 {
			t.Errorf("%d entered, %d were refused", len(entered), refused)
		}
		time.Sleep(time.Hour)
		if !p.rested() || p.Busy() {
			t.Error("it is not forgotten after an hour")
		}
	})
}

func TestPaceIsFairAndGivesBack(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := NewPace(1, time.Second)
		for range waitingPerOrigin {
			go p.Enter(t.Context(), host(1))
		}
		synctest.Wait()
		begin := time.Now()
		if !p.Enter(t.Context(), host(2)) || time.Since(begin) > 2*time.Second {
			t.Errorf("one of another origin waited %v", time.Since(begin))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.Enter(ctx, host(3)) {
			t.Error("it entered after its context had ended")
		}
		time.Sleep(time.Minute)
		for range 100 {
			if !p.Enter(t.Context(), host(1)) {
				t.Fatal("refused")
			}
			p.Return()
		}
		if p.Busy() {
			t.Error("what was returned is still taken")
		}
	})
}

func TestThrottleIsBounded(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		throttle := NewThrottle(100, 1, time.Second)
		for n := range 1000 {
			throttle.Enter(t.Context(), host(n))
			if len(throttle.paces) > 101 {
				t.Fatalf("%d origins are known", len(throttle.paces))
			}
			if n == 500 {
				time.Sleep(time.Hour)
			}
		}
	})
}
