package engine

import (
	"time"

	"cairn/engine/record"
	"cairn/session"
)

// track gives e, which c stores in the place of the slot's item, the extension
// that it needs: what is known of the item's session since it began, and whose it
// is. Of an item that nobody wants tracked there is none.
func (b *burst) track(s *slot, c *session.Command, e *entry) {
	it := b.item(s)
	if it != nil && it.version == 0 {
		it = nil // damaged
	}
	if !c.Has(session.Tracked) && (it == nil || len(it.ext) == 0) {
		return
	}
	x := b.extension(it, c, e)
	if c.Has(session.Tracked) && (it == nil || givesOwner(c.Op)) {
		x.Owner = c.Owner
	}
	x.TTL = secondsUntil(e.expiry, b.now)
	e.ext = x.Append(make([]byte, 0, x.Len()))
}

// extension returns what is known of the session that e belongs to: that of it,
// or a new one if it is nil.
func (b *burst) extension(it *entry, c *session.Command, e *entry) (x record.Extension) {
	tracked := false
	if it != nil {
		x, tracked = record.DecodeExtension(it.ext)
	}
	switch {
	case tracked:
	case it != nil:
		x.Born = it.version
	case c.Has(session.SetVersion):
		x.Born = b.nextVersion()
	default:
		x.Born = e.version
	}
	if x.Created == 0 {
		x.Created = b.now
		if c.Created != 0 {
			x.Created = c.Created
		}
	}
	return x
}

// bound applies the Limit of c, which stores or touches e.
func (e *entry) bound(c *session.Command) {
	if c.Limit == 0 {
		return
	}
	if x, ok := record.DecodeExtension(e.ext); ok {
		e.expiry = c.Bound(e.expiry, x.Created)
	}
}

// givesOwner reports whether a command of that kind says whose an item is.
func givesOwner(op session.Op) bool {
	return op == session.OpSet || op == session.OpAdd || op == session.OpReplace
}

// secondsUntil is the time from now to expiry as record.Extension has it.
func secondsUntil(expiry, now session.Time) uint32 {
	if expiry == session.Never {
		return 0
	}
	const most = 1<<32 - 1
	return uint32(min(max((expiry.Sub(now)+time.Second-1)/time.Second, 1), most))
}
