package bench

import (
	"math"
	"slices"
	"testing"
	"time"

	"cairn/bench/peer"
)

func TestSpread(t *testing.T) {
	if s := newSpread([]float64{5, 1, 3}); s != (Spread{3, 1, 5}) || math.Abs(s.Deviation()-2.0/3) > 1e-9 {
		t.Errorf("%+v, %v", s, s.Deviation())
	}
	if s := newSpread([]float64{4, 1, 3, 2}); s.Median != 2.5 {
		t.Errorf("%+v", s)
	}
}

// A disturbance that hits both servers of a round must not show in the ratio.
func TestRatioIsPairedByRound(t *testing.T) {
	rounds := func(throughputs ...float64) (all []Round) {
		for _, v := range throughputs {
			all = append(all, Round{Throughput: v})
		}
		return all
	}
	got := ratio(rounds(200, 20, 210), rounds(100, 10, 105), func(r *Round) float64 { return r.Throughput })
	if got != 2 {
		t.Errorf("ratio %v, want 2", got)
	}
}

func TestParseCores(t *testing.T) {
	if got, err := parseCores("0,2-4"); err != nil || !slices.Equal(got, []int{0, 2, 3, 4}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"x", "3-1", "-1", "1-", "5000"} {
		if got, err := parseCores(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestShellCommand(t *testing.T) {
	got := shellCommand([]string{"/usr/bin/cairn-bench", "--peer", "a=cairn -m 5", "", "it's"})
	if want := `cairn-bench --peer 'a=cairn -m 5' '' 'it'\''s'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The storm of a server that drops sessions in a rhythm comes just before a
// beat, so that the drop is watched; that of the others as soon as possible.
func TestDueTime(t *testing.T) {
	s := &suite{}
	for _, base := range []string{"cairn", "memcached"} {
		c := &contestant{Server: &peer.Server{Spec: peer.Spec{Name: base, Base: base}}}
		ahead := 90 * time.Second
		earliest := time.Now().Add(ahead)
		due := s.dueTime(c, ahead)
		if due.Before(earliest) || due.After(earliest.Add(c.Spec.Bucket()+10*time.Second)) {
			t.Errorf("%s: due %v after now", base, time.Until(due))
		}
		if bucket := c.Spec.Bucket(); bucket > 0 && due.Add(5*time.Second).Truncate(bucket) != due.Add(5*time.Second) {
			t.Errorf("%s: due at %v, not before a beat", base, due)
		}
	}
}
