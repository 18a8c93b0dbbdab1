package engine

import "cairn/session"

// gather finds the state of all keys. The requests of which it cannot, without
// the disk, move to b.cold. The stripes are locked.
func (b *burst) gather() {
	kept := b.requests[:0]
	for _, r := range b.requests {
		from := len(b.places)
		if b.gatherFor(r) {
			kept = append(kept, r)
		} else {
			b.places = b.places[:from]
			b.cold = append(b.cold, r)
		}
	}
	clear(b.requests[len(kept):])
	b.requests = kept
}

func (b *burst) gatherFor(r *request) bool {
	for i := range r.in.Commands {
		c := &r.in.Commands[i]
		place := -1
		if c.Op != session.OpFlush && session.ValidKey(c.Key) {
			if place = b.placeOf(r, c.Key); place < 0 || !b.suffices(&b.slots[place], r, c) {
				return false
			}
		}
		b.places = append(b.places, int32(place))
	}
	return true
}

// suffices reports whether what is known of the slot's key is all that c needs.
// What turns out only after c was carried out is left to shed.
func (b *burst) suffices(s *slot, r *request, c *session.Command) bool {
	switch {
	case r.fetches >= maxFetches:
		return true
	case needsValue(c):
		return b.hasValue(s, r)
	case c.Op == session.OpDelete && c.Mods&(session.Invalidate|session.DropValue) == 0:
		if s.before != nil && s.before.under > 0 && !s.deep && s.before.live(b.now) {
			r.deep = append(r.deep, c.Key)
			return false
		}
	}
	return true
}

// placeOf returns the number of the slot of a key of r, -1 if its state is not
// known.
func (b *burst) placeOf(r *request, key []byte) int {
	i := b.find(key)
	if i < 0 {
		s := slot{key: key, stripe: stripeOf(key)}
		if !b.know(&s, r) {
			return -1
		}
		i = b.addSlot(s)
	}
	if len(r.deep) > 0 {
		b.deepen(&b.slots[i], r)
	}
	return i
}

// know fills in the state of the slot's key from the cache or from what was
// fetched for r. It reads the disk only for a request that has been fetched for
// often enough.
func (b *burst) know(s *slot, r *request) bool {
	e := new(entry)
	if b.store.memory.hot.get(e, s.key, b.epoch) {
		b.ticket = max(b.ticket, e.ticket)
		s.before, s.after = e, e
		return true
	}
	if f := r.has(s.key); f != nil && f.before != nil && b.trusts(r, s) {
		s.before, s.err = f.before, f.err
	} else if f != nil && f.err != nil && b.trusts(r, s) {
		s.err = f.err
	} else if r.fetches < maxFetches {
		return false
	} else {
		s.before, s.err = b.locate(s.key, false)
	}
	b.found(s)
	return true
}

// trusts reports whether what was fetched for r is still what the disk holds of
// the slot's key: no batch has touched its stripe since.
func (b *burst) trusts(r *request, s *slot) bool {
	return r.epoch == b.epoch && b.store.memory.stripes.of(s.stripe).ticket.Load() <= r.snapshot
}

// found completes a slot whose state is from the disk.
func (b *burst) found(s *slot) {
	s.after, s.fault, s.cold = s.before, s.err, true
	if s.before != nil {
		s.before.ticket = max(b.store.memory.stripes.of(s.stripe).ticket.Load(), b.store.flushes.ticket.Load())
		b.ticket = max(b.ticket, s.before.ticket)
	}
}

// hasValue reports whether the value of the slot's item is known, after a look
// at what was fetched for r.
func (b *burst) hasValue(s *slot, r *request) bool {
	if s.err != nil || s.before.unread == 0 {
		return true
	}
	f := r.has(s.key)
	if f == nil || f.before == nil || f.err != nil || f.before.unread > 0 || !b.trusts(r, s) {
		return false
	}
	s.before.value, s.before.unread = f.before.value, 0
	return true
}

// deepen takes over what else was fetched for r of the slot's key.
func (b *burst) deepen(s *slot, r *request) {
	if f := r.has(s.key); f != nil && f.deep && b.trusts(r, s) {
		s.copies, s.deep = f.copies, true
		b.hasValue(s, r)
	}
}

// runAll carries out the commands on the slots.
func (b *burst) runAll() {
	n := 0
	for i, r := range b.requests {
		b.running, b.admission = int32(i+1), &r.in.Admission
		for j := range r.in.Commands {
			b.hint, b.number = int(b.places[n]), n
			n++
			b.frame = nil
			if j < len(r.in.Frames) {
				b.frame = &r.in.Frames[j]
			}
			if b.observed {
				b.runObserved(&r.in.Commands[j], &r.in.Results[j], r.in.Origin)
				continue
			}
			_ = b.run(&r.in.Commands[j], &r.in.Results[j]) // errUnlocked is for reads
		}
	}
	b.hint = -1
}

// shed moves the requests whose changes cannot be written without the disk to
// b.cold, and reports whether there were any. What the others have done must be
// undone and done again then, because they may have seen their effects.
func (b *burst) shed() bool {
	if b.flushes > 0 || !b.markLacking() {
		return false
	}
	kept, places, n := b.requests[:0], b.places[:0], 0
	left := false
	for _, r := range b.requests {
		own := b.places[n : n+len(r.in.Commands)]
		n += len(own)
		if r.fetches < maxFetches && b.lackFor(r, own) {
			b.cold = append(b.cold, r)
			left = true
			continue
		}
		kept, places = append(kept, r), append(places, own...)
	}
	clear(b.requests[len(kept):])
	b.requests, b.places = kept, places
	return left
}

// markLacking finds the slots whose change cannot be written without the disk.
func (b *burst) markLacking() (any bool) {
	for i := range b.slots {
		s := &b.slots[i]
		s.lacking = s.after != s.before && b.lacks(s)
		any = any || s.lacking
	}
	return any
}

func (b *burst) lacks(s *slot) bool {
	target := b.place(s)
	if target != 0 && s.after.unread > 0 && !patches(s, target) {
		return true
	}
	return !s.deep && s.before.stands(b.now) > target && s.before.under > target
}

// lackFor notes which keys of r at the given places are to be fetched deep, and
// reports whether there are any.
func (b *burst) lackFor(r *request, places []int32) (any bool) {
	for i, place := range places {
		if place >= 0 && b.slots[place].lacking {
			r.deep = append(r.deep, r.in.Commands[i].Key)
			any = true
		}
	}
	return any
}

// undo makes the slots and the results what they were before runAll.
func (b *burst) undo() {
	for i := range b.slots {
		s := &b.slots[i]
		s.after, s.err, s.counted = s.before, s.fault, false
	}
	for _, r := range b.requests {
		r.in.SizeResults()
	}
	b.events = b.events[:0]
	b.stored, b.identical, b.flushes, b.hits, b.misses = 0, 0, 0, 0, 0
}

// keepFound puts into the cache what was read from the disk and is as it was.
// The stripes are locked.
func (b *burst) keepFound() {
	if b.flushed {
		return
	}
	for i := range b.slots {
		if s := &b.slots[i]; s.cold && s.after == s.before && s.err == nil {
			b.store.memory.hot.put(s.before)
		}
	}
}
