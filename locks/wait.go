package locks

import (
	"slices"

	"cairn/session"
)

// wait lets a client wait for a lock that is taken, if it may. It reports whether it
// does; the burst is completed later then.
func (s *Store) wait(b *session.Burst, to session.Completer) bool {
	if !b.Patient || len(b.Commands) != 1 || b.Commands[0].Op != session.OpAdd {
		return false
	}
	c := &b.Commands[0]
	rule := s.options.Rules.Set().VolatileLock(c.Key)
	if rule == nil || rule.Park <= 0 {
		return false
	}
	s.mu.Lock()
	defer s.unlock()
	key := string(c.Key)
	s.settle(key, b.Now)
	l := s.lines[key]
	switch {
	case !s.taken(c.Key, b.Now), len(s.waiting) >= s.options.MaxWaiting, l != nil && len(l.waiters) >= maxLine:
		return false
	case l == nil:
		l = &line{stop: func() bool { return true }}
		s.lines[key] = l
	}
	w := &waiter{burst: b, to: to, key: key}
	w.stop = s.options.After(rule.Park, func() { s.give(w.burst, w, &s.counts.inVain) })
	l.waiters = append(l.waiters, w)
	s.waiting[b] = w
	s.setAlarm(key, l)
	return true
}

// taken reports whether somebody holds the lock.
func (s *Store) taken(key []byte, now session.Time) bool {
	return s.find(key, now).Status == session.OK
}

func (s *Store) find(key []byte, now session.Time) session.Result {
	return s.items.Execute(&session.Command{Op: session.OpGet, Mods: session.Peek, Key: key}, now, nil)
}

// setAlarm lets the first in line have the lock when it expires.
func (s *Store) setAlarm(key string, l *line) {
	l.stop()
	now := s.options.Clock.Now()
	expiry := s.find([]byte(key), now).Item.Expiry
	if expiry == session.Never {
		return
	}
	l.stop = s.options.After(max(expiry.Sub(now), 0), func() {
		s.mu.Lock()
		defer s.unlock()
		if s.lines[key] == l {
			s.settle(key, s.options.Clock.Now())
		}
		if s.lines[key] == l {
			s.setAlarm(key, l)
		}
	})
}

// settle gives a lock that is free to those who wait for it.
func (s *Store) settle(key string, now session.Time) {
	l := s.lines[key]
	if l == nil || s.taken([]byte(key), now) {
		return
	}
	for len(l.waiters) > 0 && !s.taken([]byte(key), now) {
		w := l.waiters[0]
		s.leave(w)
		c := w.burst.Commands[0]
		if waited := now - w.burst.Now; waited > 0 && c.Expiry > w.burst.Now && c.Expiry < session.Never-waited {
			c.Expiry += waited
		}
		r := s.items.Execute(&c, now, w.burst.Origin)
		s.note(&c, &r, w.burst.Origin)
		s.counts.got.Add(1)
		s.answer(w, r, now)
	}
	if s.lines[key] == l {
		s.setAlarm(key, l)
	}
}

// leave takes w out of its line.
func (s *Store) leave(w *waiter) {
	w.stop()
	delete(s.waiting, w.burst)
	l := s.lines[w.key]
	l.waiters = slices.DeleteFunc(l.waiters, func(o *waiter) bool { return o == w })
	if len(l.waiters) == 0 {
		l.stop()
		delete(s.lines, w.key)
	}
}

// answer completes the burst of w once mu is free.
func (s *Store) answer(w *waiter, r session.Result, now session.Time) {
	s.counts.waited.Observe(max(now.Sub(w.burst.Now), 0))
	w.burst.SizeResults()
	w.burst.Results[0] = r
	s.granted = append(s.granted, w)
}

// Hurry completes b now if it waits for a lock: its client has sent more, or has
// gone.
func (s *Store) Hurry(b *session.Burst) { s.give(b, nil, &s.counts.gaveWay) }

// give lets the client hear that it has not got the lock. w is its waiter, if that
// is known: a burst may be used for something else by now.
func (s *Store) give(b *session.Burst, w *waiter, count interface{ Add(uint64) uint64 }) {
	s.mu.Lock()
	defer s.unlock()
	found := s.waiting[b]
	if found == nil || w != nil && found != w {
		return
	}
	count.Add(1)
	s.giveUp(found)
}

// giveUp lets w hear that the lock is taken.
func (s *Store) giveUp(w *waiter) {
	s.leave(w)
	now := s.options.Clock.Now()
	r := s.find(w.burst.Commands[0].Key, now)
	r.Item.Value = nil
	r.Status = session.NotStored
	s.answer(w, r, now)
}
