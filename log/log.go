package log

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Log is a commit log. Its methods may be called concurrently.
type Log struct {
	o     Options
	id    uint64
	locks []io.Closer

	home     *directory
	failover *directory    // nil: none
	numbers  atomic.Uint64 // of segments and spares, the highest so far

	mu        sync.Mutex
	room      sync.Cond // on mu: pending has become shorter, or the log has ended
	low       Position  // of the first record that is not truncated
	next      Position
	durable   Position
	pending   *batch // what is not being written yet
	flying    *batch // what is being written: durable up to a part
	waiting   []request
	segments  []*segment // oldest first; the last one is being written
	lowWanted bool       // a mark with low is to be written
	crowded   int        // callers of Append that wait
	truncated []*segment // wait for keep to remove them
	closing   bool
	err       error // the log has ended
	pace      pace

	// The flusher's:
	current *writer    // of the last segment; nil: it has to be begun
	active  *directory // where current is, or is to be
	opening bool       // nobody waits for space yet

	wake     chan struct{} // to the flusher: there may be something to do
	tidy     chan struct{} // to keep
	back     atomic.Bool   // home is well again
	away     atomic.Bool   // active is not home
	syncing  atomic.Int64  // when the present write began, ns since start, plus 1; 0: none
	start    time.Time
	flushed  chan struct{}      // closed when the flusher has ended
	stop     context.CancelFunc // ends keep and watch
	running  sync.WaitGroup     // keep and watch
	leftover sync.WaitGroup     // operations that were late
	counts   counts
}

// request is a caller of Sync.
type request struct {
	done func(error)
}

// flushBytes is how much waits before it is written though nobody asked.
const flushBytes = 1 << 20

// First returns the position of the first record that is not truncated: Next if
// there is none.
func (l *Log) First() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.low
}

// Next returns the position that the next record will have.
func (l *Log) Next() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Durable returns the position up to which every record is durable.
func (l *Log) Durable() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// Size returns how many bytes the records take that are not truncated, and what
// stands beside them in their segments.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := int64(len(l.pending.data))
	for _, s := range l.segments {
		sum += s.end
	}
	return sum
}

// Err returns why the log has ended: nil if it has not. A log ends when a sync
// has failed, since nobody knows then what of the file the disk has. It takes no
// more records, and what is not durable will never be called so.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Append adds records, which it copies, and returns the position of the last one.
// They are durable after a Sync. It waits while Options.MaxPending bytes wait for
// the disk.
func (l *Log) Append(records ...[]byte) (last Position, err error) {
	size := 0
	for _, r := range records {
		if len(r) > MaxRecord {
			return 0, ErrTooLarge
		}
		size += len(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && !l.closing && len(l.pending.ends) > 0 && len(l.pending.data)+size > l.o.MaxPending {
		l.crowded++
		l.signal()
		l.room.Wait()
		l.crowded--
	}
	if l.err != nil {
		return 0, l.err
	}
	if l.closing {
		return 0, ErrClosed
	}
	for _, r := range records {
		l.pending.add(r)
	}
	l.next += Position(len(records))
	l.counts.records += int64(len(records))
	if len(l.pending.data) >= flushBytes {
		l.signal()
	}
	return l.next - 1, nil
}

// Sync makes durable every record up to p, together with what others ask for at
// about the same time, and calls done once: with nil when that is so, or with why
// it will not be. done may be called before Sync returns, and otherwise by the
// goroutine that everybody's syncs wait for: it must be quick, and must not wait
// for the log.
func (l *Log) Sync(p Position, done func(error)) {
	if wait, err := l.ask(p, done); !wait {
		done(err)
	}
}

func (l *Log) ask(p Position, done func(error)) (wait bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case p <= l.durable:
		return false, nil
	case p >= l.next:
		return false, ErrNotAppended
	case l.err != nil:
		return false, l.err
	}
	l.waiting = append(l.waiting, request{done})
	if n := len(l.waiting); n == 1 || n == l.pace.crowd {
		l.signal()
	}
	return true, nil
}

// signal wakes the flusher.
func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Read returns a copy of the record at p, from memory or from its file.
func (l *Log) Read(p Position) (record []byte, err error) {
	s, at, record, err := l.find(p)
	if s == nil || err != nil {
		return record, err
	}
	keep := func(_ Position, r []byte) error {
		record = slices.Clone(r)
		return nil
	}
	err = s.visit(at, p, p, keep)
	if errors.As(err, new(*DamageError)) { // a reader that a write has overtaken
		err = s.visit(at, p, p, keep)
	}
	if record == nil && err == nil {
		record = []byte{}
	}
	return record, err
}

// find returns the segment that has a record, and from where to read, or else a
// copy of the record.
func (l *Log) find(p Position) (s *segment, at point, record []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case p < l.low:
		return nil, at, nil, ErrTruncated
	case p >= l.next:
		return nil, at, nil, ErrNotAppended
	case l.closing:
		return nil, at, nil, ErrClosed
	}
	for _, b := range []*batch{l.pending, l.flying} {
		if b.has(p) {
			return nil, at, append([]byte{}, b.record(int(p-b.first))...), nil
		}
	}
	s = l.holder(p)
	return s, s.from(p), nil, nil
}

// holder returns the segment of a durable record. l.mu is held.
func (l *Log) holder(p Position) *segment {
	i := len(l.segments) - 1
	for l.segments[i].first > p {
		i--
	}
	return l.segments[i]
}

// Replay calls f with the records from the position from on, up to the last one
// that had been appended when it was called. f may keep nothing of what it is
// given. Replay ends at f's first error and returns it.
func (l *Log) Replay(from Position, f func(p Position, record []byte) error) error {
	end := l.Next()
	if from > end {
		return ErrNotAppended
	}
	for p := from; p < end; {
		s, at, record, err := l.find(p)
		if err != nil {
			return err
		}
		to := p
		if s == nil {
			err = f(p, record)
		} else {
			to = min(l.lastOf(s), end-1)
			err = s.visit(at, p, to, f)
		}
		if err != nil {
			return err
		}
		p = to + 1
	}
	return nil
}

func (l *Log) lastOf(s *segment) Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.last
}

// Truncate drops the records below a position. Their segments are used again
// once that is durable, soon after; the one that is being written stays. After a
// crash before that, First may be lower again.
func (l *Log) Truncate(below Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.closing {
		return ErrClosed
	}
	if below > l.next {
		return ErrNotAppended
	}
	if below <= l.low {
		return nil
	}
	l.low = below
	if len(l.segments) > 1 && l.segments[1].first <= below {
		l.lowWanted = true
		l.signal()
	}
	return nil
}

// SyncTime returns how long the last write took to be durable, or the present
// one, if it has taken longer already.
func (l *Log) SyncTime() time.Duration {
	last := time.Duration(l.counts.lastSync.Load())
	if began := l.syncing.Load(); began != 0 {
		return max(last, time.Since(l.start)-time.Duration(began-1))
	}
	return last
}

// Close makes durable what has been appended, and ends the log. It waits for
// writes that are under way, however long the disk takes.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closing = true
	l.signal()
	l.room.Broadcast()
	l.mu.Unlock()
	<-l.flushed
	err := l.Err()
	if errors.Is(err, ErrClosed) {
		err = nil
	}
	return errors.Join(err, l.release())
}

// release ends what runs beside the flusher, and releases what the log has of
// the operating system.
func (l *Log) release() (err error) {
	l.stop()
	l.running.Wait()
	l.leftover.Wait()
	err = l.drop()
	if l.current != nil {
		err = errors.Join(err, l.current.out.close())
	}
	l.mu.Lock()
	segments := slices.Concat(l.segments, l.truncated)
	l.mu.Unlock()
	for _, s := range segments {
		err = errors.Join(err, s.close())
	}
	for _, lock := range l.locks {
		err = errors.Join(err, lock.Close())
	}
	return err
}
