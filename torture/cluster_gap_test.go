package torture

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cairn/session"
)

// TestClusterGaps measures for how long the surviving nodes acknowledge nothing when the
// node that leads is stopped, killed, frozen or cut off.
func TestClusterGaps(t *testing.T) {
	if !long {
		t.Skip("it measures times: the long form does")
	}
	c := newCluster(t, false, unprepared)
	restart := func(n *node) { <-n.done; n.launch() }
	for _, fault := range []struct {
		name     string
		aim      time.Duration
		do, undo func(n *node)
	}{
		{"none", 20 * time.Millisecond, func(*node) {}, func(*node) {}},
		{"SIGTERM", 20 * time.Millisecond, func(n *node) { n.signal(syscall.SIGTERM) }, restart},
		{"kill -9", 100 * time.Millisecond, func(n *node) { n.signal(syscall.SIGKILL) }, restart},
		{"SIGSTOP", 2 * time.Second, func(n *node) { n.signal(syscall.SIGSTOP) }, func(n *node) { n.signal(syscall.SIGCONT) }},
		{"link down", 2 * time.Second, (*node).cut, (*node).heal},
	} {
		t.Run(fault.name, func(t *testing.T) {
			var gaps []time.Duration
			missed := 0
			least, most := math.Inf(1), 0.0 // load of the machine
			for range rounds(1, 50) {
				victim := c.leader()
				began := time.Now()
				gap := c.gap(t, victim, fault.do)
				if gap > fault.aim {
					missed++
				}
				if gap > max(fault.aim, time.Second) {
					for _, n := range c.but(victim) {
						t.Logf("%v from %v on, without %v; the log of %v:\n%s", gap, began.Format(time.StampMilli), victim, n, n.log)
					}
				}
				gaps = append(gaps, gap)
				load := loadAverage(t)
				least, most = min(least, load), max(most, load)
				fault.undo(victim)
				c.whole(t)
			}
			slices.Sort(gaps)
			figures(t, "%d times; longest time without an acknowledgement: median %v, worst %v, %d above %v; load of the machine %.0f to %.0f", len(gaps),
				gaps[len(gaps)/2].Round(100*time.Microsecond), gaps[len(gaps)-1].Round(100*time.Microsecond), missed, fault.aim, least, most)
		})
	}
}

// gap lets a fault happen to a node, and returns the longest time for which a client of one
// of the others, which sends one set after the other, had no acknowledgement.
func (c *cluster) gap(t *testing.T, victim *node, fault func(n *node)) time.Duration {
	t.Helper()
	const before, after = 100, 300 // acknowledgements
	var working sync.WaitGroup
	var faulty atomic.Bool
	var ready sync.WaitGroup
	longest := make([]time.Duration, 2)
	for i, at := range c.but(victim) {
		conn, err := c.connect(at, text{})
		must(t, err)
		ready.Add(1)
		working.Go(func() {
			defer conn.close()
			last := time.Time{}
			for n, rest := 1, after; rest > 0; n++ {
				set := session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "gap%d-%d", i, n%1000), Value: make([]byte, 500), Expiry: session.Never}
				answers, err := conn.do([]session.Command{set}, wallNow())
				if err != nil || answers[0].status != session.OK {
					t.Errorf("a set at %v: %v, %v", at, answers, err)
					if n <= before {
						ready.Done()
					}
					return
				}
				now := time.Now()
				if n == before {
					ready.Done()
				}
				if faulty.Load() {
					longest[i] = max(longest[i], now.Sub(last))
					rest--
				}
				last = now
			}
		})
	}
	ready.Wait()
	faulty.Store(true)
	fault(victim)
	working.Wait()
	return slices.Max(longest)
}

// whole waits until all nodes answer, and have for a while.
func (c *cluster) whole(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		c.serves(n)
	}
	time.Sleep(500 * time.Millisecond)
	for _, n := range c.nodes {
		c.serves(n)
	}
}

// loadAverage is how many threads have run or waited for a processor in the last minute.
func loadAverage(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	must(t, err)
	load, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	must(t, err)
	return load
}
