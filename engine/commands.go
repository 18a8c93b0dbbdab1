package engine

import (
	"bytes"
	"slices"
	"unsafe"

	"cairn/session"
)

// run carries out one command on the slots. It returns errUnlocked if the
// burst must begin anew as a write.
func (b *burst) run(c *session.Command, r *session.Result) error {
	switch {
	case b.frozen && changes(c):
		fail(r, session.ErrNoSpace)
		return nil
	case c.Op == session.OpFlush:
		b.flush(c, r)
		return nil
	case c.Op == session.OpAdopt && b.replaying():
		b.adopt(c, r)
		return nil
	case !session.ValidKey(c.Key), c.Has(session.SetVersion) && c.NewVersion == 0, len(c.Owner) > session.MaxOwnerLen:
		fail(r, session.ErrBadCommand)
		return nil
	}
	s := b.slot(c.Key, needsValue(c))
	switch {
	case s.err == errUnlocked, s.err == errNoRoom:
		return s.err
	case s.err != nil && (b.replaying() || !(s.damaged() && replaces(c))):
		b.noteFault(s.err)
		fail(r, s.err)
		return nil
	case growing(s.after.live(b.now), c) && b.admission.Full:
		fail(r, session.ErrNoSpace)
		return nil
	case s.damaged():
		b.replace(s, c, r)
		return nil
	}
	if c.Op == session.OpGet && !c.Has(session.Peek) {
		b.countGet(s)
	}
	return b.runOn(s, c, r)
}

// replaces reports whether c asks for nothing that is known of the item.
func replaces(c *session.Command) bool {
	switch c.Op {
	case session.OpSet:
		return c.Mods&(session.IfVersion|session.IfBorn) == 0
	case session.OpDelete:
		return c.Mods&(session.IfVersion|session.Invalidate|session.DropValue) == 0
	}
	return false
}

// replace carries out a set or a delete on an item that cannot be decoded: one
// bad record must not make its key unusable. If not even its header can be
// read, the item stays counted until its minute has passed.
func (b *burst) replace(s *slot, c *session.Command, r *session.Result) {
	if c.Op == session.OpSet {
		b.set(s, c, r)
	} else {
		s.after = newEntry(s.key, nil)
		succeed(s.after, c, r)
	}
	if s.after != s.before {
		s.err = nil
	}
}

// countGet counts a get by whether the disk had to be asked for it.
func (b *burst) countGet(s *slot) {
	if s.cold && !s.counted {
		b.misses++
	} else {
		b.hits++
	}
	s.counted = true
}

// growing reports whether the command may store a value under a key that holds
// an item, or holds none.
func growing(present bool, c *session.Command) bool {
	switch c.Op {
	case session.OpGet:
		return !present && c.Has(session.Vivify)
	case session.OpTouch, session.OpDelete:
		return false
	}
	return true
}

func (b *burst) runOn(s *slot, c *session.Command, r *session.Result) error {
	switch c.Op {
	case session.OpGet:
		return b.get(s, c, r)
	case session.OpTouch:
		b.touch(s, c, r)
	case session.OpSet, session.OpReplace:
		b.set(s, c, r)
	case session.OpAdd:
		b.add(s, c, r)
	case session.OpAppend, session.OpPrepend:
		b.extend(s, c, r)
	case session.OpIncr, session.OpDecr:
		b.count(s, c, r)
	case session.OpDelete:
		b.remove(s, c, r)
	default:
		fail(r, session.ErrBadCommand)
	}
	return nil
}

func fail(r *session.Result, err error) {
	*r = session.Result{Status: session.Failed, Err: err}
}

// item returns the item of the slot, or nil.
func (b *burst) item(s *slot) *entry {
	if s.after.live(b.now) {
		return s.after
	}
	return nil
}

// succeed answers OK with all of e but its value.
func succeed(e *entry, c *session.Command, r *session.Result) {
	r.Status = session.OK
	r.Item.Key = c.Key
	e.describe(&r.Item)
}

// keep makes e the state of the slot and answers OK with it. An e that has
// expired already answers the same and leaves the key absent.
func (b *burst) keep(s *slot, e *entry, c *session.Command, r *session.Result) {
	e.bound(c)
	succeed(e, c, r)
	e.bucket = unplaced
	s.after = e
	if !e.live(b.now) {
		s.after = newEntry(s.key, nil)
	}
}

// storeItem is keep for an e that has a new value, and so gets a new version.
func (b *burst) storeItem(s *slot, c *session.Command, e *entry, r *session.Result) {
	e.version = b.version(c)
	e.stored(b.now)
	if unsafe.SliceData(e.value) == unsafe.SliceData(c.Value) {
		e.owner = b.running
	}
	b.track(s, c, e)
	b.stored++
	b.keep(s, e, c, r)
}

// version returns the version of an item that c changes.
func (b *burst) version(c *session.Command) uint64 {
	if c.Has(session.SetVersion) {
		return c.NewVersion
	}
	return b.nextVersion()
}

// nextVersion is the version that the store itself has for the command that
// runs.
func (b *burst) nextVersion() uint64 { return b.first + uint64(b.number) }

func (b *burst) get(s *slot, c *session.Command, r *session.Result) error {
	it := b.item(s)
	if it == nil {
		if b.reading && s.after.bucket != 0 && !b.store.options.ExternalLog {
			return errUnlocked
		}
		if !c.Has(session.Vivify) {
			r.Status = session.NotFound
			return nil
		}
		b.vivify(s, c, nil, r)
		return nil
	}
	wins := wins(it, c) && !b.frozen
	if wins && b.reading {
		return b.errClaim()
	}
	if wins || c.Has(session.SetExpiry) {
		it = it.derive()
		it.claimed = it.claimed || wins
		if c.Has(session.SetExpiry) {
			it.expiry = c.Expiry
		}
		b.keep(s, it, c, r)
	} else {
		succeed(it, c, r)
	}
	r.Won = wins
	r.Item.Value = b.lend(it)
	if !c.Has(session.Peek) {
		s.after.read(b.now)
	}
	return nil
}

// lend returns the value of an item for a result of the request that runs.
func (b *burst) lend(it *entry) []byte {
	if it.owner != 0 && it.owner != b.running {
		return bytes.Clone(it.value)
	}
	return it.value
}

// errClaim is why a burst of reads cannot claim an item.
func (b *burst) errClaim() error {
	if b.store.options.ExternalLog {
		return session.ErrNeedsLog
	}
	return errUnlocked
}

// wins reports whether the get c claims the item.
func wins(it *entry, c *session.Command) bool {
	due := it.stale || c.Has(session.Recache) && it.expiry < c.RecacheBefore
	return due && !it.claimed && c.Mods&(session.Peek|session.NoClaim) == 0
}

// vivify creates the absent item that c asked for.
func (b *burst) vivify(s *slot, c *session.Command, value []byte, r *session.Result) {
	e := newEntry(s.key, value)
	e.flags, e.expiry = c.Flags, c.VivifyExpiry
	e.claimed = c.Op == session.OpGet
	b.storeItem(s, c, e, r)
	r.Won, r.Created = e.claimed, true
}

func (b *burst) touch(s *slot, c *session.Command, r *session.Result) {
	it := b.item(s)
	if it == nil {
		r.Status = session.NotFound
		return
	}
	e := it.derive()
	e.expiry = c.Expiry
	b.keep(s, e, c, r)
}

// fenced reports whether the session that c depends on is not it, which may be nil.
func fenced(it *entry, c *session.Command) bool {
	return c.Has(session.IfBorn) && (it == nil || it.born() != c.Born)
}

// matches checks IfVersion against the item, which may be nil, and answers if
// the command must not go on.
func matches(it *entry, c *session.Command, r *session.Result) bool {
	switch {
	case !c.Has(session.IfVersion):
		return true
	case it == nil:
		r.Status = session.NotFound
		return false
	case it.version != c.CAS:
		r.Status = session.Exists
		return false
	}
	return true
}

// noFrame is that of a value of which Admit has found that it is better kept as it
// is.
var noFrame session.Frame

// valueFrame returns the frame of the value of the command that runs, with a Codec of 0
// if its value is to be kept as it is; nil: nobody has encoded it yet.
func (b *burst) valueFrame() *session.Frame {
	if b.frame == nil && b.replaying() {
		return &noFrame
	}
	return b.frame
}

// put stores the command's value, flags and expiry over it, which may be nil.
func (b *burst) put(s *slot, it *entry, c *session.Command, r *session.Result) {
	e := newEntry(s.key, c.Value)
	e.frame = b.valueFrame()
	if it != nil && it.holds(c) {
		e.value, e.owner = it.value, it.owner // so that a patch will do
		b.identical++
	}
	e.flags, e.expiry = c.Flags, c.Expiry
	b.storeItem(s, c, e, r)
}

// set serves OpSet and OpReplace.
func (b *burst) set(s *slot, c *session.Command, r *session.Result) {
	if !b.fits(len(c.Value), r) {
		return
	}
	it := b.item(s)
	switch {
	case fenced(it, c):
		r.Status = session.Fenced
	case it != nil && c.Has(session.IfVersion|session.Invalidate) && c.CAS < it.version:
		b.putStale(s, it, c, r)
	case !matches(it, c, r):
	case it == nil && c.Op == session.OpReplace:
		r.Status = session.NotStored
	default:
		b.put(s, it, c, r)
	}
}

// putStale stores a value that is older than the item it replaces, which makes
// it stale from the start. Expiry and claim stay.
func (b *burst) putStale(s *slot, it *entry, c *session.Command, r *session.Result) {
	e := newEntry(s.key, c.Value)
	e.frame = b.valueFrame()
	e.flags, e.expiry = c.Flags, it.expiry
	e.stale, e.claimed = true, it.claimed
	b.storeItem(s, c, e, r)
}

func (b *burst) add(s *slot, c *session.Command, r *session.Result) {
	if !b.fits(len(c.Value), r) {
		return
	}
	it := b.item(s)
	switch {
	case fenced(it, c):
		r.Status = session.Fenced
	case it != nil:
		succeed(it, c, r)
		r.Status = session.NotStored
	default:
		b.put(s, nil, c, r)
	}
}

// extend serves OpAppend and OpPrepend.
func (b *burst) extend(s *slot, c *session.Command, r *session.Result) {
	if !b.fits(len(c.Value), r) {
		return
	}
	it := b.item(s)
	switch {
	case it == nil && c.Has(session.Vivify):
		b.vivify(s, c, c.Value, r)
	case !matches(it, c, r):
	case it == nil:
		r.Status = session.NotStored
	case b.fits(len(it.value)+len(c.Value), r):
		b.join(s, it, c, r)
	}
}

// join stores the item's value and the command's as one.
func (b *burst) join(s *slot, it *entry, c *session.Command, r *session.Result) {
	first, second := it.value, c.Value
	if c.Op == session.OpPrepend {
		first, second = second, first
	}
	e := newEntry(s.key, slices.Concat(first, second))
	e.flags, e.expiry = it.flags, it.expiry
	b.storeItem(s, c, e, r)
}

// count serves OpIncr and OpDecr.
func (b *burst) count(s *slot, c *session.Command, r *session.Result) {
	it := b.item(s)
	switch {
	case it == nil && c.Has(session.Vivify):
		b.vivify(s, c, session.AppendNumber(nil, c.Initial, 0), r)
		r.Number = c.Initial
		r.Item.Value = session.AppendNumber(nil, c.Initial, 0)
	case it == nil:
		r.Status = session.NotFound
	case matches(it, c, r):
		b.calculate(s, it, c, r)
	}
}

func (b *burst) calculate(s *slot, it *entry, c *session.Command, r *session.Result) {
	n, ok := session.ParseNumber(it.value)
	if !ok {
		r.Status = session.NotNumeric
		return
	}
	n = sum(c, n)
	e := newEntry(s.key, session.AppendNumber(nil, n, len(it.value)))
	if !b.fits(len(e.value), r) {
		return
	}
	e.flags, e.expiry = it.flags, it.expiry
	e.stale, e.claimed = it.stale, it.claimed
	if c.Has(session.SetExpiry) {
		e.expiry = c.Expiry
	}
	b.storeItem(s, c, e, r)
	r.Number = n
	r.Item.Value = e.value
}

// sum is what incr or decr makes of n.
func sum(c *session.Command, n uint64) uint64 {
	switch {
	case c.Op == session.OpIncr:
		return n + c.Delta
	case c.Delta > n:
		return 0
	}
	return n - c.Delta
}

// remove serves OpDelete and its milder forms.
func (b *burst) remove(s *slot, c *session.Command, r *session.Result) {
	it := b.item(s)
	switch {
	case it == nil:
		r.Status = session.NotFound
	case !matches(it, c, r):
	case c.Mods&(session.Invalidate|session.DropValue) == 0:
		succeed(it, c, r)
		s.after = newEntry(s.key, nil)
	default:
		b.invalidate(s, it, c, r)
	}
}

// invalidate serves OpDelete with Invalidate or DropValue.
func (b *burst) invalidate(s *slot, it *entry, c *session.Command, r *session.Result) {
	e := it.derive()
	if c.Has(session.DropValue) {
		e = newEntry(s.key, nil)
		e.expiry, e.ext = it.expiry, it.ext
		e.stored(b.now)
	}
	e.version = b.version(c)
	e.stale, e.claimed = c.Has(session.Invalidate), false
	if c.Has(session.SetExpiry) {
		e.expiry = c.Expiry
	}
	b.keep(s, e, c, r)
}

// flush empties the store, or notes when to do so.
func (b *burst) flush(c *session.Command, r *session.Result) {
	r.Status = session.OK
	b.flushes++
	if c.FlushAt > b.now {
		b.flushAt = c.FlushAt
		return
	}
	b.flushAt = session.Never
	b.flushed = true
	for i := range b.slots {
		s := &b.slots[i]
		s.before, s.err = newEntry(s.key, nil), nil
		s.after = s.before
	}
}
