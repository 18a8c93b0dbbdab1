package memory

import (
	"slices"

	"cairn/session"
)

// execute carries out one command as of s.now.
func (s *Store) execute(c *session.Command) session.Result {
	switch {
	case s.closed:
		return failed(session.ErrClosed)
	case c.Op == session.OpFlush:
		return s.flushCommand(c)
	case !session.ValidKey(c.Key), c.Has(session.SetVersion) && c.NewVersion == 0, len(c.Owner) > session.MaxOwnerLen:
		return failed(session.ErrBadCommand)
	}
	it, found := s.find(c.Key)
	switch c.Op {
	case session.OpGet:
		return s.get(c, it, found)
	case session.OpTouch:
		return s.touch(c, it, found)
	case session.OpSet, session.OpReplace:
		return s.set(c, it, found)
	case session.OpAdd:
		return s.add(c, it, found)
	case session.OpAppend, session.OpPrepend:
		return s.extend(c, it, found)
	case session.OpIncr, session.OpDecr:
		return s.count(c, it, found)
	case session.OpDelete:
		return s.remove(c, it, found)
	}
	return failed(session.ErrBadCommand)
}

// fenced reports whether the session that c depends on is not the one of it.
func fenced(c *session.Command, it *session.Item, found bool) bool {
	return c.Has(session.IfBorn) && (!found || it.Born != c.Born)
}

// wins reports whether the get c claims the item.
func wins(c *session.Command, it *session.Item) bool {
	due := it.Stale || c.Has(session.Recache) && it.Expiry < c.RecacheBefore
	return due && !it.Claimed && c.Mods&(session.Peek|session.NoClaim) == 0
}

func (s *Store) flushCommand(c *session.Command) session.Result {
	if c.FlushAt <= s.now {
		s.flush()
	} else {
		s.flushAt = c.FlushAt
	}
	return session.Result{Status: session.OK}
}

func (s *Store) get(c *session.Command, it session.Item, found bool) session.Result {
	if !found {
		if c.Has(session.Vivify) {
			made := s.vivified(c, nil)
			made.Claimed = true
			s.put(made)
			return session.Result{Status: session.OK, Item: made, Won: true, Created: true}
		}
		return session.Result{Status: session.NotFound}
	}
	won := wins(c, &it)
	it.Claimed = it.Claimed || won
	if c.Has(session.SetExpiry) {
		it.Expiry = c.Expiry
	}
	if won || c.Has(session.SetExpiry) {
		it.Expiry = c.Bound(it.Expiry, it.Created)
	}
	answer := it
	if !c.Has(session.Peek) {
		it.Fetched, it.LastAccess = true, s.now
	}
	s.put(it)
	return session.Result{Status: session.OK, Item: answer, Won: won}
}

func (s *Store) touch(c *session.Command, it session.Item, found bool) session.Result {
	if !found {
		return session.Result{Status: session.NotFound}
	}
	it.Expiry = c.Expiry
	it.Expiry = c.Bound(it.Expiry, it.Created)
	s.put(it)
	return stored(it)
}

// set serves OpSet and OpReplace.
func (s *Store) set(c *session.Command, it session.Item, found bool) session.Result {
	if len(c.Value) > s.maxValueSize {
		return session.Result{Status: session.TooLarge}
	}
	made := session.Item{Key: c.Key, Value: c.Value, Flags: c.Flags, Expiry: c.Expiry, LastAccess: s.now}
	switch {
	case fenced(c, &it, found):
		return session.Result{Status: session.Fenced}
	case c.Has(session.IfVersion) && !found:
		return session.Result{Status: session.NotFound}
	case c.Op == session.OpReplace && !found:
		return session.Result{Status: session.NotStored}
	case c.Has(session.IfVersion|session.Invalidate) && c.CAS < it.Version:
		made.Stale, made.Claimed, made.Expiry = true, it.Claimed, it.Expiry
	case c.Has(session.IfVersion) && c.CAS != it.Version:
		return session.Result{Status: session.Exists}
	}
	s.renew(c, &made, it)
	s.put(made)
	return stored(made)
}

func (s *Store) add(c *session.Command, it session.Item, found bool) session.Result {
	if len(c.Value) > s.maxValueSize {
		return session.Result{Status: session.TooLarge}
	}
	switch {
	case fenced(c, &it, found):
		return session.Result{Status: session.Fenced}
	case found:
		answer := stored(it)
		answer.Status = session.NotStored
		return answer
	}
	made := session.Item{Key: c.Key, Value: c.Value, Flags: c.Flags, Expiry: c.Expiry, LastAccess: s.now}
	s.renew(c, &made, session.Item{})
	s.put(made)
	return stored(made)
}

// extend serves OpAppend and OpPrepend.
func (s *Store) extend(c *session.Command, it session.Item, found bool) session.Result {
	if len(c.Value) > s.maxValueSize {
		return session.Result{Status: session.TooLarge}
	}
	if !found {
		switch {
		case c.Has(session.Vivify):
			made := s.vivified(c, c.Value)
			s.put(made)
			answer := stored(made)
			answer.Created = true
			return answer
		case c.Has(session.IfVersion):
			return session.Result{Status: session.NotFound}
		}
		return session.Result{Status: session.NotStored}
	}
	if c.Has(session.IfVersion) && c.CAS != it.Version {
		return session.Result{Status: session.Exists}
	}
	value := slices.Concat(it.Value, c.Value)
	if c.Op == session.OpPrepend {
		value = slices.Concat(c.Value, it.Value)
	}
	if len(value) > s.maxValueSize {
		return session.Result{Status: session.TooLarge}
	}
	it.Value, it.Stale, it.Claimed, it.Fetched, it.LastAccess = value, false, false, false, s.now
	s.renew(c, &it, it)
	s.put(it)
	return stored(it)
}

// count serves OpIncr and OpDecr.
func (s *Store) count(c *session.Command, it session.Item, found bool) session.Result {
	if !found {
		if c.Has(session.Vivify) {
			made := s.vivified(c, session.AppendNumber(nil, c.Initial, 0))
			s.put(made)
			return session.Result{Status: session.OK, Item: made, Number: c.Initial, Created: true}
		}
		return session.Result{Status: session.NotFound}
	}
	if c.Has(session.IfVersion) && c.CAS != it.Version {
		return session.Result{Status: session.Exists}
	}
	n, ok := session.ParseNumber(it.Value)
	if !ok {
		return session.Result{Status: session.NotNumeric}
	}
	switch {
	case c.Op == session.OpIncr:
		n += c.Delta // wraps
	case c.Delta > n:
		n = 0
	default:
		n -= c.Delta
	}
	value := session.AppendNumber(nil, n, len(it.Value))
	if len(value) > s.maxValueSize {
		return session.Result{Status: session.TooLarge}
	}
	it.Value = value
	if c.Has(session.SetExpiry) {
		it.Expiry = c.Expiry
	}
	s.renew(c, &it, it)
	s.put(it)
	return session.Result{Status: session.OK, Item: it, Number: n}
}

// remove serves OpDelete and its milder forms.
func (s *Store) remove(c *session.Command, it session.Item, found bool) session.Result {
	switch {
	case !found:
		return session.Result{Status: session.NotFound}
	case c.Has(session.IfVersion) && c.CAS != it.Version:
		return session.Result{Status: session.Exists}
	case c.Mods&(session.Invalidate|session.DropValue) == 0:
		delete(s.items, string(c.Key))
		return stored(it)
	}
	if c.Has(session.DropValue) {
		it.Value, it.Flags = nil, 0
		it.Fetched, it.LastAccess = false, s.now
	}
	it.Stale, it.Claimed = c.Has(session.Invalidate), false
	it.Version = s.version(c)
	if it.Created == 0 {
		it.Born = it.Version
	}
	if c.Has(session.SetExpiry) {
		it.Expiry = c.Expiry
	}
	it.Expiry = c.Bound(it.Expiry, it.Created)
	s.put(it)
	return stored(it)
}

// vivified makes the item that Vivify puts under an absent key.
func (s *Store) vivified(c *session.Command, value []byte) session.Item {
	made := session.Item{
		Key:        c.Key,
		Value:      value,
		Flags:      c.Flags,
		Expiry:     c.VivifyExpiry,
		LastAccess: s.now,
	}
	s.renew(c, &made, session.Item{})
	return made
}

// renew gives made, which c stores, its new version and what is known of its
// session. before is the item that made takes the place of, zero if there is
// none.
func (s *Store) renew(c *session.Command, made *session.Item, before session.Item) {
	made.Version = s.version(c)
	if !c.Has(session.Tracked) && before.Created == 0 {
		made.Born = made.Version
		return
	}
	made.Born, made.Created, made.Owner = before.Born, before.Created, before.Owner
	gives := c.Op == session.OpSet || c.Op == session.OpAdd || c.Op == session.OpReplace
	if c.Has(session.Tracked) && (before.Version == 0 || gives) {
		made.Owner = c.Owner
	}
	if made.Created == 0 {
		made.Created = s.now
		if c.Created != 0 {
			made.Created = c.Created
		}
	}
	switch {
	case made.Born != 0:
	case c.Has(session.SetVersion):
		made.Born = s.lastVersion.Add(1)
	default:
		made.Born = made.Version
	}
	made.Expiry = c.Bound(made.Expiry, made.Created)
}

// stored is the answer of a success that shows all of it but the value.
func stored(it session.Item) session.Result {
	it.Value = nil
	return session.Result{Status: session.OK, Item: it}
}

func failed(err error) session.Result {
	return session.Result{Status: session.Failed, Err: err}
}
