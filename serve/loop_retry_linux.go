package serve

import (
	"time"

	"cairn/session"
)

// delay lets a turn wait until its failed commands are to be carried out again.
// It returns false if the loop's patience with the store is over.
func (l *loop) delay(t *turn) bool {
	now := time.Now()
	if t.retry == nil {
		t.retry = new(session.Retry)
		t.retry.Burst.Owner = t
		t.until = now.Add(l.server.options.Patience)
	}
	if !now.Before(t.until) || l.server.isStopping() {
		return false
	}
	t.due = now.Add(t.retry.Delay())
	if t.due.After(t.until) {
		t.due = t.until
	}
	l.delayed = append(l.delayed, t)
	return true
}

// retryDue carries out again what is due. When the server stops, all delayed
// turns are answered as they are.
func (l *loop) retryDue() {
	if len(l.delayed) == 0 {
		return
	}
	now, stopping := time.Now(), l.server.isStopping()
	due, later := l.due[:0], l.delayed[:0]
	for _, t := range l.delayed {
		if stopping || !now.Before(t.due) {
			due = append(due, t)
		} else {
			later = append(later, t)
		}
	}
	clear(l.delayed[len(later):])
	l.delayed = later
	for _, t := range due {
		if stopping {
			l.answer(t)
		} else {
			l.again(t)
		}
	}
	clear(due)
	l.due = due[:0]
	l.tellTimes()
}

// again carries out the failed commands of a turn again.
func (l *loop) again(t *turn) {
	t.retry.Begin(&t.burst, l.server.options.Clock.Now())
	if l.server.options.Store.Try(&t.retry.Burst) {
		l.finish(t)
		return
	}
	l.server.options.Store.Apply(&t.retry.Burst, l)
}

// nextDue returns when the next turn is due; zero: never.
func (l *loop) nextDue() (due time.Time) {
	for _, t := range l.delayed {
		if due.IsZero() || t.due.Before(due) {
			due = t.due
		}
	}
	return due
}
