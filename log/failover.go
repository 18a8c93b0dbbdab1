package log

import (
	"context"
	"errors"
	"time"

	"cairn/durable"
)

// errStalled is the error of an operation that took so long that it was left to
// itself: its effect does not matter any more.
var errStalled = errors.New("the disk does not answer")

// other returns the directory besides d, if it can be written to.
func (l *Log) other(d *directory) *directory {
	other := l.failover
	if d == l.failover {
		other = l.home
	}
	if other == nil || other.failed.Load() || other.late.Load() > 0 {
		return nil
	}
	return other
}

// carry runs an operation on a directory. If there is another directory, and the
// operation takes longer than Options.FailoverAfter, carry returns errStalled;
// late is then called when it ends, after all.
func (l *Log) carry(d *directory, op func() error, late func(error)) error {
	if l.failover == nil {
		return op()
	}
	done := make(chan error, 1)
	given := make(chan bool, 1) // whether the result is wanted
	l.leftover.Go(func() {
		err := op()
		done <- err
		if !<-given {
			late(err)
			d.late.Add(-1)
		}
	})
	for {
		select {
		case err := <-done:
			given <- true
			return err
		case <-time.After(l.o.FailoverAfter):
		}
		if l.other(d) != nil {
			d.late.Add(1)
			given <- false
			return errStalled
		}
	}
}

// rotate begins a segment in d that has room for need bytes, or in the other
// directory if d cannot have one. All that is in the segments before and is not
// durable is void.
func (l *Log) rotate(d *directory, need int64) error {
	if l.current != nil {
		if err := l.current.out.close(); err != nil {
			return err
		}
		l.current = nil
	}
	for {
		h := segmentHeader{l.id, l.numbers.Add(1), l.durable + 1, l.First(), uint64(max(l.o.SegmentSize, blockUp(headerSize+need)))}
		dir, created := d, make(chan *writer, 1)
		err := l.carry(dir, func() error {
			w, err := dir.create(h)
			created <- w
			return err
		}, func(error) {
			if w := <-created; w != nil {
				_ = w.out.close()
				_ = dir.fs.Remove(dir.join(segmentName(h.number)))
			}
		})
		switch {
		case err == nil:
			l.install(dir, <-created)
			return nil
		case durable.Passing(err):
			if l.opening || !l.awaitSpace(err) {
				return err
			}
			if other := l.other(d); other != nil {
				d = other
			}
		default:
			if d, err = l.turn(d, err); err != nil {
				return err
			}
		}
	}
}

// install makes w the writer of the last segment.
func (l *Log) install(d *directory, w *writer) {
	l.current, l.active = w, d
	l.away.Store(d != l.home)
	s := &segment{segmentHeader: w.segmentHeader, dir: d, last: w.first - 1, end: headerSize}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments, s)
}

// leave goes on in the other directory after the writer of d has failed.
func (l *Log) leave(d *directory, cause error, need int64) error {
	w := l.current
	l.current = nil
	if errors.Is(cause, errStalled) {
		l.mu.Lock()
		l.segments[len(l.segments)-1].late = true
		l.mu.Unlock()
	} else {
		_ = w.out.close() // what it was to write is written elsewhere, or never called durable
	}
	other, err := l.turn(d, cause)
	if err != nil {
		return err
	}
	return l.rotate(other, need)
}

// turn returns the directory that takes over from d, or else the error with which
// the log ends.
func (l *Log) turn(d *directory, cause error) (*directory, error) {
	if !errors.Is(cause, errStalled) {
		d.failed.Store(true)
	}
	other := l.other(d)
	if other == nil {
		return nil, cause
	}
	l.counts.failovers.Add(1)
	l.o.Logger.Warn("the commit log continues in its other directory", "from", d.path, "to", other.path, "error", cause)
	return other, nil
}

// comeBack goes on in the log's own directory if watch has found it well. All
// that was written is durable.
func (l *Log) comeBack() error {
	if !l.back.Swap(false) || l.active == l.home || l.other(l.active) == nil {
		return nil
	}
	if err := l.rotate(l.home, 0); err != nil {
		return err
	}
	if l.active == l.home {
		l.o.Logger.Info("the commit log is back in its own directory", "directory", l.home.path)
	}
	return nil
}

const (
	// failbackProbes quick probes in a row make a directory well again. One is
	// quick if it takes at most a probeQuick-th of Options.FailoverAfter.
	failbackProbes = 10
	probeQuick     = 4
)

// watch tries the log's own directory while the other one has taken over.
func (l *Log) watch(ctx context.Context) {
	for quick := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(l.o.FailbackEvery):
		}
		if !l.away.Load() || l.other(l.failover) == nil {
			quick = 0
			continue
		}
		took, err := l.probe(l.home)
		if quick++; err != nil || took > l.o.FailoverAfter/probeQuick {
			quick = 0
		}
		if quick == failbackProbes {
			quick = 0
			l.back.Store(true)
		}
	}
}

// probe makes some bytes durable in d, and returns how long that took.
func (l *Log) probe(d *directory) (took time.Duration, err error) {
	path := d.join("probe")
	start := time.Now()
	dev, err := openDevice(d.fs, path, false)
	if err != nil {
		return 0, err
	}
	if d.o.wrap != nil {
		dev = d.o.wrap(path, dev)
	}
	err = dev.write(alignedBlocks(probeBytes), 0)
	if err == nil {
		err = dev.sync()
	}
	err = errors.Join(err, dev.close(), d.fs.Remove(path))
	return time.Since(start), err
}
