package bench

import (
	"os"
	"testing"
	"time"

	"cairn/bench/load"
)

func moment(stores []time.Duration, others ...time.Duration) load.Moment {
	m := load.Moment{Latency: load.NewHistogram(), Stores: load.NewHistogram()}
	for _, d := range stores {
		load.Record(m.Stores, d)
		load.Record(m.Latency, d)
	}
	for _, d := range others {
		load.Record(m.Latency, d)
	}
	return m
}

func near(got, want time.Duration) bool { return got >= want*99/100 && got <= want*101/100 }

// What a set took beyond the disk's own worst sync of its second is the server's; a
// slow operation beside a slow sync is the disk's.
func TestTail(t *testing.T) {
	const ms = time.Millisecond
	sync := func(at, took time.Duration) bareSync { return bareSync{at, at + took} }
	timeline := []load.Moment{
		moment([]time.Duration{2 * ms, 3 * ms}, 150*ms),                               // quiet: the slow get is the server's
		moment([]time.Duration{200 * ms, 220 * ms, 210 * ms}),                         // the disk stood still for 180 ms
		moment([]time.Duration{190 * ms}),                                             // into this second
		moment([]time.Duration{120 * ms, 130 * ms}, 5*ms, 100*ms, 99*time.Nanosecond), // quiet again
	}
	got := newTail(timeline, []bareSync{
		sync(10*ms, 1*ms), sync(1500*ms, 2*ms), sync(1830*ms, 180*ms), sync(3100*ms, 1*ms), sync(9000*ms, 500*ms),
	})
	if got.Unexplained != 4 {
		t.Errorf("%d slow operations without a slow sync, want 4", got.Unexplained)
	}
	if !near(got.Excess, 129*ms) || !near(got.Worst, 220*ms) || got.Amplified < 1.2 || got.Amplified > 1.24 {
		t.Errorf("excess %v, worst %v, %.2f times the sync", got.Excess, got.Worst, got.Amplified)
	}
	if !near(got.BareP50, 2*ms) || !near(got.BareWorst, 500*ms) || len(got.Seconds) != 4 || got.Seconds[2] != 180*ms {
		t.Errorf("bare p50 %v, worst %v, of seconds %v", got.BareP50, got.BareWorst, got.Seconds)
	}
	if empty := newTail(nil, nil); empty.BareWorst != 0 || empty.Excess != 0 {
		t.Errorf("of nothing: %+v", empty)
	}
}

// Bare syncs are real ones, in time with the run, and leave nothing behind.
func TestBareSyncs(t *testing.T) {
	dir := t.TempDir()
	b, err := startBareSyncs(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	b.begin()
	for time.Since(before) < 3*bareEvery {
		time.Sleep(bareEvery)
	}
	syncs, err := b.finish()
	if err != nil || len(syncs) == 0 || syncs[0].end <= syncs[0].start || syncs[0].start < 0 {
		t.Errorf("%v, %v", syncs, err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if b, err = startBareSyncs(dir); err == nil { // a run that never started
		_, err = b.finish()
	}
	if err != nil {
		t.Error(err)
	}
	if _, err := startBareSyncs(dir + "/absent"); err == nil {
		t.Error("no error without a directory")
	}
}
