//go:build linux

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cairn/bench/load"
)

// A bareSync is a write of 4 KiB over a file and an fdatasync, which somebody does
// beside a run on the same file system and who does nothing else: how long it took
// is the disk's, whatever the servers are like. Times count from the run's start.
type bareSync struct{ start, end time.Duration }

// bareSyncer does one bareSync after the other.
type bareSyncer struct {
	file  *os.File
	began chan time.Time
	quit  chan struct{}
	done  sync.WaitGroup

	// Of the goroutine, until done.
	syncs []bareSync
	err   error
}

const (
	// bareEvery is the time from one bare sync to the next: often enough that
	// none of the disk's stalls goes unseen, seldom enough to be no load.
	bareEvery = 20 * time.Millisecond

	bareSize  = 4 << 10 // bytes of a write
	bareSlots = 64      // of a file, one behind the other
)

// startBareSyncs prepares the file in dir; the syncs begin with begin.
func startBareSyncs(dir string) (b *bareSyncer, err error) {
	b = &bareSyncer{began: make(chan time.Time, 1), quit: make(chan struct{})}
	b.file, err = os.Create(filepath.Join(dir, "bare-sync"))
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	// The file has its final size and blocks, so that no sync waits for more
	// than the block and the disk.
	if _, err = b.file.Write(make([]byte, bareSize*bareSlots)); err == nil {
		err = b.file.Sync()
	}
	if err != nil {
		b.remove()
		return nil, fmt.Errorf("bench: %w", err)
	}
	b.done.Go(b.run)
	return b, nil
}

func (b *bareSyncer) remove() {
	b.file.Close()
	os.Remove(b.file.Name())
}

// begin is called when the run starts.
func (b *bareSyncer) begin() { b.began <- time.Now() }

// finish ends the syncs and returns those that were done.
func (b *bareSyncer) finish() ([]bareSync, error) {
	close(b.quit)
	b.done.Wait()
	b.remove()
	return b.syncs, b.err
}

func (b *bareSyncer) run() {
	var began time.Time
	select {
	case began = <-b.began:
	case <-b.quit:
		return
	}
	tick := time.NewTicker(bareEvery)
	defer tick.Stop()
	block := make([]byte, bareSize)
	for i := 0; ; i++ {
		block[0]++
		start := time.Since(began)
		if _, b.err = b.file.WriteAt(block, int64(i%bareSlots*bareSize)); b.err == nil {
			b.err = unix.Fdatasync(int(b.file.Fd()))
		}
		if b.err != nil {
			b.err = fmt.Errorf("bench: a bare sync: %w", b.err)
			return
		}
		b.syncs = append(b.syncs, bareSync{start, time.Since(began)})
		select {
		case <-tick.C:
		case <-b.quit:
			return
		}
	}
}

// A tail says what of the slowest operations was the disk's.
type tail struct {
	BareP50   time.Duration `json:"bareP50"`
	BareWorst time.Duration `json:"bareWorst"`

	// Excess is the 99.9th percentile of the sets, the longest bare sync of the
	// second in which it ended taken off each. 0 if there were none.
	Excess time.Duration `json:"setP999LessBare"`

	// Unexplained counts the operations of slowOperation and more that ended in a
	// second whose longest bare sync took less than slowSync.
	Unexplained int64 `json:"slowOperationsWithoutSlowSync"`

	// Worst is the longest operation, and Amplified how many times the longest
	// bare sync of its second that is.
	Worst     time.Duration `json:"worst"`
	Amplified float64       `json:"worstByBare"`

	// Seconds has the longest bare sync of each second that the run lasted.
	Seconds []time.Duration `json:"bareWorstOfSeconds"`
}

const (
	slowOperation = 100 * time.Millisecond
	slowSync      = 30 * time.Millisecond
)

// newTail compares what a run measured, second by second, with syncs. One that
// lasts from one second into another counts for both.
func newTail(timeline []load.Moment, syncs []bareSync) tail {
	var t tail
	all := load.NewHistogram()
	worst := make([]time.Duration, len(timeline))
	for _, s := range syncs {
		took := s.end - s.start
		load.Record(all, took)
		for second := int(s.start / time.Second); second <= int(s.end/time.Second) && second < len(worst); second++ {
			worst[second] = max(worst[second], took)
		}
	}
	if len(syncs) > 0 {
		t.BareP50, t.BareWorst = time.Duration(all.ValueAtPercentile(50)), time.Duration(all.Max())
	}
	excess := load.NewHistogram()
	for i, moment := range timeline {
		for _, bar := range moment.Stores.Distribution() {
			if bar.Count > 0 {
				_ = excess.RecordValues(max(bar.To-int64(worst[i]), 0), bar.Count) // within its range, as bar is
			}
		}
		t.add(&moment, worst[i])
	}
	if excess.TotalCount() > 0 {
		t.Excess = time.Duration(excess.ValueAtPercentile(99.9))
	}
	t.Seconds = worst
	return t
}

// add takes the operations of one second into account.
func (t *tail) add(moment *load.Moment, bare time.Duration) {
	if slowest := time.Duration(moment.Latency.Max()); slowest > t.Worst {
		t.Worst = slowest
		t.Amplified = float64(slowest) / float64(max(bare, time.Microsecond))
	}
	if bare >= slowSync {
		return
	}
	for _, bar := range moment.Latency.Distribution() {
		if bar.To >= int64(slowOperation) {
			t.Unexplained += bar.Count
		}
	}
}
