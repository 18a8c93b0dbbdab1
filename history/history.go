// Package history keeps the figures of a server over time: a sample every ten
// seconds for a day, one every minute for thirty days, and what happened
// meanwhile. They are in memory, to be asked for, and in files of the data
// directory, so that they outlive the process; see DESIGN.md.
package history

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
)

// How much is kept.
const (
	fineStep = 10 * time.Second
	fineKeep = 24 * time.Hour

	coarseStep = time.Minute
	coarseKeep = 30 * 24 * time.Hour

	maxEvents = 2000
)

// Options configure a Recorder. Dir is required.
type Options struct {
	// Dir is where the files are. It is created if need be, and one process uses
	// it at a time.
	Dir string

	// Figures are what is sampled. They are collected from between Start and Stop
	// only.
	Figures []prometheus.Collector

	Logger *slog.Logger     // nil: slog.Default
	Now    func() time.Time // nil: time.Now
}

// Recorder samples figures. It is safe for concurrent use.
type Recorder struct {
	dir    string
	logger *slog.Logger
	now    func() time.Time
	gather func() (figures.Samples, error)

	running sync.WaitGroup
	cancel  context.CancelFunc // nil: not running

	mu       sync.Mutex
	fine     series
	coarse   series
	events   events
	troubled bool // the files do not take what is written
}

// New makes a recorder that has nothing yet. It fails if two collectors have a
// figure of the same name.
func New(o Options) (*Recorder, error) {
	registry := prometheus.NewRegistry()
	for _, c := range o.Figures {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	r := &Recorder{dir: o.Dir, logger: o.Logger, now: o.Now,
		gather: func() (figures.Samples, error) { return figures.Gather(registry) }}
	if r.logger == nil {
		r.logger = slog.Default()
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.fine = series{name: "samples-10s", step: fineStep, keep: fineKeep}
	r.coarse = series{name: "samples-1min", step: coarseStep, keep: coarseKeep}
	return r, nil
}

// Begin says how a process comes to record.
type Begin int

// A process starts, takes another one's place, or goes on after nobody took its.
const (
	Started Begin = iota
	TookOver
	WentOn
)

// Start reads the files and samples until Stop. Files that cannot be used are
// logged, and no reason not to sample.
func (r *Recorder) Start(how Begin) {
	r.begin(how)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.running.Go(func() {
		for {
			wait := time.NewTimer(r.untilNext())
			select {
			case <-ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
				r.tick()
			}
		}
	})
}

// untilNext returns how long it is to the next sample, which are at round times.
func (r *Recorder) untilNext() time.Duration {
	now := r.now()
	return now.Truncate(fineStep).Add(fineStep).Sub(now)
}

// Stop takes a last sample, marks that the process stops and closes the files. It
// does nothing to a recorder that is not running.
func (r *Recorder) Stop() { r.stop(true) }

// Lend is Stop for another process that takes over: it marks nothing.
func (r *Recorder) Lend() { r.stop(false) }

func (r *Recorder) stop(forGood bool) {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	r.running.Wait()
	r.end(forGood)
}

// begin is Start without the goroutine.
func (r *Recorder) begin(how Begin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	err := os.MkdirAll(r.dir, 0o700)
	for _, s := range []*series{&r.fine, &r.coarse} {
		if err == nil {
			err = s.open(r.dir, now, r.setAside)
		}
		s.before = moment{}
	}
	if err == nil {
		err = r.events.open(r.dir, now, r.setAside)
	}
	r.note(err)
	if how != WentOn {
		r.events.began(how, now, len(r.coarse.times) == 0)
	}
	if samples, err := r.gather(); err == nil {
		r.fine.before = moment{now, samples}
		r.coarse.before = r.fine.before
	}
	r.save()
}

// tick takes a sample.
func (r *Recorder) tick() {
	samples, err := r.gather()
	if err != nil {
		return // the figures of the moment are missing, as is said by /metrics
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := moment{r.now(), samples}
	r.drop(at.time)
	r.events.watch(&interval{before: r.fine.before, now: at})
	r.fine.sample(at)
	if at.time.Sub(r.coarse.before.time) >= coarseStep-fineStep/2 {
		r.coarse.sample(at)
	}
	r.save()
}

// end takes the last samples, whatever time has passed since the ones before.
func (r *Recorder) end(forGood bool) {
	r.tick()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fine.before.samples != nil && r.coarse.before.time.Before(r.fine.before.time) {
		r.coarse.sample(r.fine.before)
	}
	r.events.ended(r.now(), forGood)
	r.save()
	r.fine.file.close()
	r.coarse.file.close()
	r.events.file.close()
}

// drop lets go of what the clock says has not been yet: it was wrong then.
func (r *Recorder) drop(now time.Time) {
	r.fine.dropAfter(now)
	r.coarse.dropAfter(now)
	r.events.dropAfter(now)
}

// save writes what is not in the files yet.
func (r *Recorder) save() {
	err := r.fine.save(r.dir)
	if err == nil {
		err = r.coarse.save(r.dir)
	}
	if err == nil {
		err = r.events.save(r.dir)
	}
	r.note(err)
}

// note logs that the files cannot be written, or can be again, once.
func (r *Recorder) note(err error) {
	switch {
	case err != nil && !r.troubled:
		r.logger.Warn("the history of figures is not written", "error", err)
	case err == nil && r.troubled:
		r.logger.Info("the history of figures is written again")
	}
	r.troubled = err != nil
}

// setAside renames a file that cannot be read, in the place of an earlier one.
func (r *Recorder) setAside(path string, why error) error {
	r.logger.Info("a file of the history of figures was set aside", "file", path, "reason", why)
	return os.Rename(path, path+".unreadable")
}

// path is where a file of the recorder is.
func path(dir, name string) string { return filepath.Join(dir, name) }
