package log

import (
	"errors"
	"time"

	"cairn/durable"
)

// spaceRetry is how long the flusher waits for space before it tries again.
const spaceRetry = 100 * time.Millisecond

// group is what the flusher writes in one go.
type group struct {
	batch   *batch
	waiting []request
	low     Position
	final   bool
}

// run is the flusher: it alone writes segments.
func (l *Log) run() {
	defer close(l.flushed)
	spare := new(batch)
	for {
		g := l.gather(spare)
		if err := l.commit(&g); err != nil {
			l.end(err, g.waiting)
			return
		}
		for _, r := range g.waiting {
			r.done(nil)
		}
		if g.final {
			l.end(ErrClosed, nil)
			return
		}
		spare = g.batch
	}
}

// gather waits for something to write and takes all there is, leaving spare for
// what comes.
func (l *Log) gather(spare *batch) group {
	for {
		l.mu.Lock()
		wait := time.Duration(-1)
		switch {
		case l.closing || len(l.pending.data) >= flushBytes || l.crowded > 0:
			wait = 0
		case l.lowWanted || len(l.waiting) > 0:
			wait = max(0, l.pace.wait(time.Now(), len(l.waiting), l.o.MaxWindow))
		}
		if wait == 0 {
			g := l.take(spare)
			l.mu.Unlock()
			return g
		}
		l.mu.Unlock()
		if wait < 0 {
			<-l.wake
			continue
		}
		select {
		case <-l.wake:
		case <-time.After(wait):
			l.mu.Lock()
			l.pace.began = time.Time{}
			l.mu.Unlock()
		}
	}
}

// take makes a group of what waits. l.mu is held.
func (l *Log) take(spare *batch) group {
	g := group{l.pending, l.waiting, l.low, l.closing}
	spare.reset(l.next)
	l.pending, l.flying, l.waiting, l.lowWanted = spare, g.batch, nil, false
	l.pace.begin(time.Now(), len(g.waiting))
	l.room.Broadcast()
	return g
}

// end ends the log: with ErrClosed if that was wished.
func (l *Log) end(err error, waiting []request) {
	l.mu.Lock()
	l.err = err
	waiting = append(waiting, l.waiting...)
	l.waiting = nil
	l.room.Broadcast()
	l.mu.Unlock()
	for _, r := range waiting {
		r.done(err)
	}
}

// commit makes a group durable, part by part.
func (l *Log) commit(g *group) error {
	began := time.Now()
	l.syncing.Store(int64(began.Sub(l.start)) + 1)
	defer l.syncing.Store(0)
	if err := l.comeBack(); err != nil {
		return err
	}
	for i := 0; i < len(g.batch.ends); {
		n, err := l.write(g, i)
		if err != nil {
			return err
		}
		i += n
	}
	if l.current != nil && (len(g.batch.ends) == 0 || g.final) { // a mark of its own: the last one proves all before
		if _, err := l.write(g, len(g.batch.ends)); err != nil {
			return err
		}
	}
	took := time.Since(began)
	l.counts.lastSync.Store(int64(took))
	l.counts.syncs.Observe(took)
	l.letGo(g.low)
	return nil
}

// write makes durable a part of a group, from its record i on, and returns how
// many records that are.
func (l *Log) write(g *group, i int) (n int, err error) {
	for {
		if l.current == nil {
			if err := l.rotate(l.active, recordRoom(g.batch, i)); err != nil {
				return 0, err
			}
		}
		p := l.current.load(g.batch, i, mark{l.durable, g.low})
		if p.n == 0 && i < len(g.batch.ends) || l.current.room() < markSize {
			if err := l.rotate(l.active, recordRoom(g.batch, i)); err != nil {
				return 0, err
			}
			continue
		}
		w, d := l.current, l.active
		err := l.carry(d, func() error { return w.flush(p) }, func(error) { _ = w.out.close() })
		switch {
		case err == nil:
			l.advance(g, p)
			return p.n, nil
		case errors.Is(err, errNoDirect):
			d.direct.Store(false)
			if err := w.reopen(func() (device, error) { return d.openDevice(d.join(segmentName(w.number))) }); err != nil {
				return 0, err
			}
		case durable.Passing(err):
			if !l.awaitSpace(err) {
				return 0, err
			}
		default:
			if err := l.leave(d, err, recordRoom(g.batch, i)); err != nil {
				return 0, err
			}
		}
	}
}

// recordRoom is how many bytes record i of b needs in a new segment, with its mark.
func recordRoom(b *batch, i int) int64 {
	if i >= len(b.ends) {
		return markSize
	}
	return markSize + frameHeader + int64(len(b.record(i)))
}

// advance notes that a part is durable.
func (l *Log) advance(g *group, p part) {
	l.counts.waitsForSpace.Store(false)
	written := p.end - l.current.end
	l.current.advance(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.segments[len(l.segments)-1]
	l.durable += Position(p.n)
	s.last, s.end = l.durable, p.end
	s.points = append(s.points, p.points...)
	l.counts.bytes += written
	if l.durable == g.batch.last() {
		l.flying = emptyBatch
	}
	if !l.current.used && s.end > l.o.SegmentSize/4 {
		l.current.used = true
		l.wakeKeep()
	}
}

// emptyBatch has no record.
var emptyBatch = new(batch)

// awaitSpace waits a while after an operation that may succeed later. It reports
// false if the log is to be closed.
func (l *Log) awaitSpace(err error) bool {
	if !l.counts.waitsForSpace.Swap(true) {
		l.o.Logger.Warn("the commit log waits for disk space", "error", err)
	}
	for timer := time.After(spaceRetry); ; {
		select {
		case <-timer:
			return true
		case <-l.wake:
		}
		l.mu.Lock()
		closing := l.closing
		l.mu.Unlock()
		if closing {
			return false
		}
	}
}

// letGo hands segments below low, which is durable, to keep.
func (l *Log) letGo(low Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n+1 < len(l.segments) && l.segments[n+1].first <= low {
		n++
	}
	if n == 0 {
		return
	}
	l.truncated = append(l.truncated, l.segments[:n]...)
	l.segments = append([]*segment(nil), l.segments[n:]...)
	l.wakeKeep()
}
