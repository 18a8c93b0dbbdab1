package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"cairn/session"
	"cairn/session/sessiontest"
)

func TestHistogram(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{0, 50 * time.Microsecond, 51 * time.Microsecond, 10 * time.Second, time.Minute} {
		h.observe(d)
	}
	s := h.snapshot()
	if s.Count != 5 || s.Sum != 70*time.Second+101*time.Microsecond {
		t.Errorf("count %d, sum %v", s.Count, s.Sum)
	}
	if last := len(s.Counts) - 1; s.Counts[0] != 2 || s.Counts[1] != 1 || s.Counts[last] != 1 || s.Bounds[last] != 10*time.Second {
		t.Errorf("counts %v below %v", s.Counts, s.Bounds)
	}
}

// TestThinned compares a histogram of Pebble's form, thinned, with what went
// into it.
func TestThinned(t *testing.T) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Buckets: pebble.FsyncLatencyBuckets})
	observed := []time.Duration{
		30 * time.Microsecond, 150 * time.Microsecond, 700 * time.Microsecond, 3 * time.Millisecond,
		77 * time.Millisecond, 9 * time.Second, time.Minute,
	}
	for _, d := range observed {
		h.Observe(float64(d))
	}
	var metric dto.Metric
	if err := h.Write(&metric); err != nil {
		t.Fatal(err)
	}
	s := thinned(metric.GetHistogram())
	if n := len(s.Bounds); n < 15 || n > 30 || s.Bounds[0] != 100*time.Microsecond || s.Bounds[n-1].Round(time.Millisecond) != 10*time.Second {
		t.Errorf("%d bounds: %v", n, s.Bounds)
	}
	counts := make([]uint64, len(s.Bounds))
	for _, d := range observed {
		if i, _ := slices.BinarySearch(s.Bounds, d); i < len(counts) {
			counts[i]++
		}
	}
	if s.Count != uint64(len(observed)) || !slices.IsSorted(s.Bounds) || !slices.Equal(s.Counts, counts) {
		t.Errorf("count %d, counts %v, want %v below %v", s.Count, s.Counts, counts, s.Bounds)
	}
}

// TestTimesOfCommits checks that each batch is timed once, whether somebody
// waits for it or not.
func TestTimesOfCommits(t *testing.T) {
	for name, interval := range map[string]time.Duration{"Sync": 0, "Interval": MaxInterval} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
			o.Durability.Interval = interval
			s := openStore(t, o)
			var b session.Burst
			for range 5 {
				b.Reset(s.Now())
				*b.Add() = session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never}
				session.Do(s, &b)
				b.Reset(s.Now())
				*b.Add() = session.Command{Op: session.OpGet, Key: []byte("k")}
				session.Do(s, &b)
			}
			stats := s.Stats()
			if stats.Commits != 5 || stats.CommitTimes.Count != 5 || stats.CommitTimes.Sum <= 0 {
				t.Errorf("%d commits, of which %d took %v", stats.Commits, stats.CommitTimes.Count, stats.CommitTimes.Sum)
			}
			if interval == 0 && stats.SyncTimes.Count < 5 {
				t.Errorf("%d fsyncs", stats.SyncTimes.Count)
			}
		})
	}
}
