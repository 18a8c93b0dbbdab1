package upstream

import (
	"slices"
	"time"

	"cairn/migrate"
	"cairn/session"
)

// Why no session of the old store is one any more.
const (
	endedByFlush   = "all sessions were flushed"
	endedByPending = "too many sessions were removed while it could not be told"
)

// remove removes sessions at the old store. If it cannot be told now, it is noted on
// the disk that it has to be. The keys are held.
func (s *Store) remove(list [][]byte) {
	for part := range slices.Chunk(list, chunk) {
		if err := s.tellRemoved(part); err == nil {
			s.counts.removed.Add(uint64(len(part)))
			if err := s.journal.Load().told(part); err != nil {
				s.journalFails(err)
			}
			continue
		}
		s.counts.removedLater.Add(uint64(len(part)))
		before := s.journal.Load().ended(s.o.Clock.Now())
		if err := s.journal.Load().remove(part); err != nil {
			s.journalFails(err)
		}
		if s.journal.Load().ended(s.o.Clock.Now()) == endedByPending && before == "" {
			s.o.Logger.Error("the upstream is no longer asked: too many removals have not reached it", "most", maxPending)
		}
		for _, key := range part {
			s.queue.add(string(key), true)
		}
	}
}

// tellRemoved removes sessions at each server.
func (s *Store) tellRemoved(list [][]byte) error {
	return s.everywhere(func(_ int, link migrate.Link) error { return link.Delete(list) })
}

// journalFails logs that something that may not be forgotten is not on the disk.
func (s *Store) journalFails(err error) {
	s.o.Logger.Error("removals that the upstream must learn of cannot be recorded", "error", err)
}

// flush makes the flushes of a burst end the sessions at the old store, too.
func (s *Store) flush(b *session.Burst) {
	for i := range b.Commands {
		c := &b.Commands[i]
		if c.Op != session.OpFlush {
			continue
		}
		tell := s.canFlush()
		if !tell {
			s.o.Logger.Warn("a flush does not reach the upstream, which may have more than sessions")
		}
		if err := s.journal.Load().flush(c.FlushAt, b.Now, tell); err != nil {
			s.journalFails(err)
		}
		if tell && s.tellFlushed() != nil {
			s.queue.add("", true)
		}
	}
}

func (s *Store) canFlush() bool {
	for _, v := range s.servers {
		if !v.source.CanFlush() {
			return false
		}
	}
	return true
}

// tellFlushed tells the old store of a flush if it has yet to be told.
func (s *Store) tellFlushed() error {
	s.telling.Lock()
	defer s.telling.Unlock()
	at, owed := s.journal.Load().flushOwed()
	if !owed {
		return nil
	}
	err := s.everywhere(func(_ int, link migrate.Link) error { return link.Flush(time.Until(at.Time())) })
	if err != nil {
		return err
	}
	if err := s.journal.Load().flushed(); err != nil {
		s.journalFails(err)
	}
	return nil
}
