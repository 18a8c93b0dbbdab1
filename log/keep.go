package log

import (
	"context"
	"errors"

	"cairn/durable"
)

// wakeKeep tells keep that there is something to do.
func (l *Log) wakeKeep() {
	select {
	case l.tidy <- struct{}{}:
	default:
	}
}

// keep removes truncated segments and makes spares, beside the flusher.
func (l *Log) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.tidy:
		}
		if err := l.drop(); err != nil {
			l.o.Logger.Warn("a truncated segment of the commit log cannot be removed; the next start tries again", "error", err)
		}
		for _, d := range l.directories() {
			if err := d.fill(ctx, func() uint64 { return l.numbers.Add(1) }); err != nil && ctx.Err() == nil && !durable.Passing(err) {
				l.o.Logger.Warn("the commit log has no spare segment and will be slower", "error", err)
			}
		}
	}
}

func (l *Log) directories() []*directory {
	if l.failover == nil {
		return []*directory{l.home}
	}
	return []*directory{l.home, l.failover}
}

// drop removes the segments that are truncated, except on a disk that does
// not answer.
func (l *Log) drop() (err error) {
	l.mu.Lock()
	todo := l.truncated
	l.truncated = nil
	l.mu.Unlock()
	for _, s := range todo {
		if s.dir.late.Load() > 0 {
			l.mu.Lock()
			l.truncated = append(l.truncated, s)
			l.mu.Unlock()
			continue
		}
		e := s.close()
		recycled, released := s.dir.release(s.number, !s.late)
		if recycled {
			l.counts.recycled.Add(1)
		}
		err = errors.Join(err, e, released)
	}
	return err
}
