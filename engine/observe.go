package engine

import (
	"bytes"

	"cairn/session"
)

// Subscribe is session.Observable's. Options.Observers are told.
func (s *Store) Subscribe(o session.Observer) (cancel func()) {
	return s.options.Observers.Subscribe(o)
}

// runObserved is run for a burst that somebody observes. It notes what the command
// has done; tell passes that on once it is so.
func (b *burst) runObserved(c *session.Command, r *session.Result, from session.Origin) {
	var held *entry
	if b.hint >= 0 {
		held = b.slots[b.hint].after
	}
	_ = b.run(c, r) // errUnlocked is for reads
	if r.Status != session.OK {
		return
	}
	e := session.Event{Command: c, Result: r, Now: b.now, Origin: from}
	switch {
	case c.Op == session.OpFlush && c.FlushAt > b.now:
		e.Effect = session.FlushPlanned
	case c.Op == session.OpFlush:
		e.Effect = session.Flushed
	case b.hint < 0 || b.slots[b.hint].after == held:
		return // it only looked, or is about no key
	default:
		made := b.slots[b.hint].after
		e.Effect, e.Size = effect(c, r, held, made)
		e.NewOwner = len(made.ext) > 0 && len(made.belongsTo()) > 0 && !(held.live(b.now) && bytes.Equal(held.belongsTo(), made.belongsTo()))
	}
	b.events = append(b.events, e)
}

// effect says what c, which has succeeded, has made of held.
func effect(c *session.Command, r *session.Result, held, made *entry) (_ session.Effect, size int) {
	removes := c.Op == session.OpDelete && c.Mods&(session.Invalidate|session.DropValue) == 0
	switch {
	case removes:
		return session.Deleted, held.valueLen()
	case made.bucket == 0:
		return session.Expired, 0
	case c.Op == session.OpDelete:
		return session.Invalidated, made.valueLen()
	case c.Op == session.OpTouch, c.Op == session.OpGet && !r.Created:
		return session.Touched, made.valueLen()
	}
	return session.Stored, made.valueLen()
}

// carryOutDue carries out the pending flush, which is nobody's command any more.
func (b *burst) carryOutDue() {
	c, r := &session.Command{Op: session.OpFlush}, new(session.Result)
	b.flush(c, r)
	if b.observed {
		b.events = append(b.events, session.Event{Effect: session.Flushed, Command: c, Result: r, Now: b.now})
	}
}

// tell tells the observers what has become visible to others. The stripes of all
// keys are locked. Commands that have failed after all have no events.
func (b *burst) tell() {
	happened := b.events[:0]
	for _, e := range b.events {
		if e.Result.Status == session.OK {
			happened = append(happened, e)
		}
	}
	if len(happened) > 0 {
		b.store.options.Observers.Observe(happened)
	}
}

// tellSwept tells the observers that nothing is left of what expired before until.
func (s *Store) tellSwept(until session.Time) {
	if s.options.Observers.Wanted() {
		s.options.Observers.Observe([]session.Event{{Effect: session.Swept, Now: until}})
	}
}
