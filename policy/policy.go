// Package policy knows what a key is and what applies to it: rules that name
// the keys of an application's sessions, locks and companions, and bound how
// long they live.
//
// Rules come from presets, one per client library, and from a file. Keys that
// no rule matches are left alone.
package policy

import (
	"time"

	"cairn/owner"
	"cairn/session"
)

// Kind is what a key stands for.
type Kind uint8

const (
	// Other is a key that no rule knows.
	Other Kind = iota

	// Session is a key whose value is a session.
	Session

	// Lock is a key that some client holds while it works on a session.
	Lock

	// Companion is a key beside a session that lives and dies with it.
	Companion
)

var kindNames = [...]string{Other: "other", Session: "session", Lock: "lock", Companion: "companion"}

func (k Kind) String() string { return kindNames[k] }

// lockTTL bounds the life of locks whose rule names no other. A lock is held for
// one request, and one that nobody frees blocks its session.
const lockTTL = time.Hour

// Rule is what applies to the keys of one application.
type Rule struct {
	// Name tells rules apart in output and metrics.
	Name string

	// MaxTTL bounds how long after a command an item may expire, and Absolute
	// how long after its creation a session may, however often it is renewed.
	// 0: no bound. LockTTL is the MaxTTL of the rule's locks.
	MaxTTL   time.Duration
	Absolute time.Duration
	LockTTL  time.Duration

	// Fence says who is kept from storing a session again after it was removed,
	// and FenceFor for how long after they have seen it. FenceRefuses lets them
	// hear that nothing was stored. FenceHolds says that the application stores
	// nothing under an id that it has missed: a peer that hears that a session is
	// gone is kept from storing it all the same.
	Fence        Fence
	FenceFor     time.Duration
	FenceRefuses bool
	FenceHolds   bool

	// Volatile keeps the rule's locks in memory only. Then a client may wait for one
	// for as long as Park, and FreeOnClose frees those that it holds when its
	// connection ends.
	Volatile    bool
	Park        time.Duration
	FreeOnClose bool

	// Owner says where the id of the user stands in the value of a session. The store
	// keeps at most MaxPerOwner sessions of one owner (0: any number), the newest ones.
	Owner       []owner.Path
	MaxPerOwner int

	ownerKey []byte // ids are hashed with it; nil: they are not
	matchers []matcher
}

// Longest returns how long after a command an item of kind k may expire; 0: there
// is no bound.
func (r *Rule) Longest(k Kind) time.Duration {
	if k == Lock {
		return r.LockTTL
	}
	return r.MaxTTL
}

// Admit makes a command on a key of kind k ask for no longer life than the rule
// allows, as of now. An item that never expires is bounded too; an instant that
// has passed stays as it is. Of a rule with an absolute lifetime, a fence or an owner,
// the store keeps when a session began; of one that was there before the rule, from its
// next change on. Whose it is follows from the value that the command stores.
func (r *Rule) Admit(c *session.Command, k Kind, now session.Time) {
	if longest := r.Longest(k); longest > 0 {
		last := now.Add(longest)
		c.Expiry = min(c.Expiry, last)
		c.VivifyExpiry = min(c.VivifyExpiry, last)
	}
	if k == Session && r.Fence != FenceOff {
		c.Mods |= session.Tracked
	}
	if k == Session && len(r.Owner) > 0 {
		r.admitOwner(c)
	}
	if r.Absolute > 0 && k != Lock {
		c.Mods |= session.Tracked
		c.Limit = session.Time(r.Absolute.Milliseconds())
	}
}
