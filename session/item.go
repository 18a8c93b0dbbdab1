package session

import "errors"

// Limits that every front end and every store share.
const (
	// MaxKeyLen is the longest key in bytes, memcached's own limit.
	MaxKeyLen = 250

	// MaxOwnerLen is the longest Item.Owner in bytes.
	MaxOwnerLen = 64

	// DefaultMaxValueSize is the largest value in bytes that a store keeps
	// unless it is told otherwise.
	DefaultMaxValueSize = 8 << 20
)

// Errors that a Result carries or a store returns.
var (
	// ErrClosed is the error of a command that reached a closed store.
	ErrClosed = errors.New("session: store is closed")

	// ErrNoSpace is the error of a write refused because the disk's reserve
	// would be touched. Reads, deletes and touches still work.
	ErrNoSpace = errors.New("session: disk space is below the reserve")

	// ErrCorrupt is the error of a command that met damaged data on disk.
	ErrCorrupt = errors.New("session: stored data is corrupt")

	// ErrBadCommand is the error of a command that no front end should let
	// through: an unknown Op, a key that ValidKey refuses, an Owner that is too
	// long, or SetVersion with a NewVersion of 0. The rest of its burst is not affected.
	ErrBadCommand = errors.New("session: malformed command")

	// ErrUnavailable is the error of a command that had no effect because the
	// store cannot carry it out for the moment. To send it again is safe, and
	// expected of front ends, which keep their client waiting meanwhile (see
	// Retry). If a command of a burst has this error, so have all later ones of
	// the burst on the same key.
	ErrUnavailable = errors.New("session: store is unavailable for the moment")

	// ErrNeedsLog is the error of every command of a burst that a store which
	// follows a log does not carry out on its own, because it may change
	// something: it writes, or is a read that has to claim an item. Nothing has
	// happened.
	ErrNeedsLog = errors.New("session: the command has to go through the log")

	// ErrUnknownOutcome is the error of a command that may have had its effect,
	// now or later, or not. The store has waited as long as it was going to.
	// Nobody sends such a command again on a client's behalf.
	ErrUnknownOutcome = errors.New("session: the outcome is unknown")
)

// Item is one session as a client sees it.
type Item struct {
	// Key is 1 to MaxKeyLen bytes, of any value; each wire protocol narrows
	// that further.
	Key []byte

	// Value is opaque. It may be empty.
	Value []byte

	// Flags are the client's own, kept and given back as they were.
	Flags uint32

	// Born is the version that the store had when the item's session began,
	// Created when that was, and Owner whose it is (at most MaxOwnerLen bytes;
	// empty: nobody's). They are kept of items that a command with Tracked has
	// stored, for as long as the item lives, whatever is stored over it. Of
	// other items Born is Version and Created 0, which is unknown.
	Born    uint64
	Created Time
	Owner   []byte

	// Version is the item's CAS unique. Every store, even of the same bytes,
	// and every change of Stale gives a new one; a touch or a claim does not.
	// A store hands out ascending versions, never the same one twice, across
	// restarts included, unless a client chose it (SetVersion). It is never 0.
	Version uint64

	// Expiry is the first instant at which the item is gone.
	Expiry Time

	// Stale says that the item was invalidated but is kept for clients that
	// accept an old value while one of them recaches it.
	Stale bool

	// Claimed says that some client was already told to recache the item.
	// A successful store clears it, and Stale.
	Claimed bool

	// Fetched says whether the item was read since it was stored, and
	// LastAccess when it was last read or stored. Both are best effort: a
	// store forgets them (false, and the zero Time) when it stops or when the
	// item leaves memory.
	Fetched    bool
	LastAccess Time
}

// Live reports whether the item exists at now.
func (it *Item) Live(now Time) bool { return now < it.Expiry }

// ValidKey reports whether a store accepts key.
func ValidKey(key []byte) bool { return 0 < len(key) && len(key) <= MaxKeyLen }
