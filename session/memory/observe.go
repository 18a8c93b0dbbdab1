package memory

import (
	"bytes"

	"cairn/session"
)

// tell carries out a command and notes its event.
func (s *Store) tell(c *session.Command, from session.Origin) session.Result {
	before := s.items[string(c.Key)]
	r := s.execute(c)
	s.note(c, &r, before, from)
	return r
}

// told tells observers of the events noted.
func (s *Store) told() {
	if len(s.events) > 0 {
		s.observers.Observe(s.events)
	}
	s.events = nil
}

// Subscribe is session.Observable's.
func (s *Store) Subscribe(o session.Observer) (cancel func()) { return s.observers.Subscribe(o) }

// note notes the event of c, if it has one. before is what stood under its key.
func (s *Store) note(c *session.Command, r *session.Result, before session.Item, from session.Origin) {
	if r.Status != session.OK {
		return
	}
	e := session.Event{Command: c, Result: r, Now: s.now, Origin: from}
	after, left := s.items[string(c.Key)]
	e.Size = len(after.Value)
	e.NewOwner = len(after.Owner) > 0 && !(before.Live(s.now) && bytes.Equal(before.Owner, after.Owner))
	switch {
	case c.Op == session.OpFlush && c.FlushAt > s.now:
		e.Effect = session.FlushPlanned
	case c.Op == session.OpFlush:
		e.Effect = session.Flushed
	case c.Op == session.OpGet && !r.Created && !r.Won && !c.Has(session.SetExpiry):
		return
	case c.Op == session.OpDelete && c.Mods&(session.Invalidate|session.DropValue) == 0:
		e.Effect, e.Size = session.Deleted, len(before.Value)
	case !left:
		e.Effect = session.Expired
	case c.Op == session.OpDelete:
		e.Effect = session.Invalidated
	case c.Op == session.OpTouch, c.Op == session.OpGet && !r.Created:
		e.Effect = session.Touched
	default:
		e.Effect = session.Stored
	}
	s.events = append(s.events, e)
}
