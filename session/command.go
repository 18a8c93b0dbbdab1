package session

// Op says what a Command does. An item whose expiry has passed does not exist
// for any of them.
type Op uint8

const (
	// OpGet reads an item.
	OpGet Op = iota + 1

	// OpTouch gives an item a new Expiry and returns it without its value.
	OpTouch

	// OpSet stores Value, Flags and Expiry whatever was there.
	OpSet

	// OpAdd stores as OpSet does, but only if the key is absent.
	OpAdd

	// OpReplace stores as OpSet does, but only if the key is present.
	OpReplace

	// OpAppend and OpPrepend put Value behind or before the present value and
	// keep its flags and expiry. Like every store they clear Stale and
	// Claimed. If the key is absent nothing is stored, unless Vivify is set.
	OpAppend
	OpPrepend

	// OpIncr and OpDecr read the value as a decimal number, add or subtract
	// Delta and store the result (see ParseNumber and AppendNumber). OpIncr
	// wraps at 2^64, OpDecr stops at 0. Flags, expiry, Stale and Claimed stay.
	OpIncr
	OpDecr

	// OpDelete removes an item.
	OpDelete

	// OpFlush removes every item that exists at FlushAt. A FlushAt that is not
	// after the burst's Now takes effect at once; a later one also takes the
	// items stored meanwhile, but none stored at FlushAt itself. Either
	// replaces a flush that is still pending.
	OpFlush
)

// Ops that only a log may bring: they are about the store itself, and no client
// can ask for them.
const (
	// OpAdopt makes the store know the dictionary that Value holds, in a form of
	// its own, and use it from now on. It has no key. Exists says that the store
	// knows another one of the same number.
	OpAdopt Op = 128 + iota
)

// Mods refine an Op. A bit that has no meaning for an Op is ignored.
type Mods uint16

const (
	// IfVersion applies the command only if the item's version is CAS;
	// otherwise the status is Exists, or NotFound if the key is absent and
	// not vivified. It has no meaning for OpGet, OpTouch and OpAdd.
	IfVersion Mods = 1 << iota

	// SetVersion gives the changed item the version NewVersion instead of the
	// store's next one. A command that leaves the version alone, as a touch
	// does, leaves it alone with SetVersion too.
	SetVersion

	// SetExpiry makes OpGet, OpIncr, OpDecr and an OpDelete with Invalidate
	// or DropValue also give the item a new Expiry. An item that the command
	// itself vivifies gets VivifyExpiry only.
	SetExpiry

	// Vivify creates an absent item that expires at VivifyExpiry. OpGet
	// creates an empty, claimed one and reports Won; OpIncr and OpDecr create
	// one with the number Initial; OpAppend and OpPrepend store Value and
	// Flags.
	Vivify

	// Recache makes OpGet claim an item that expires before RecacheBefore, as
	// if it were stale. With SetExpiry the expiry found counts, not the new one.
	Recache

	// Invalidate makes OpDelete mark the item stale, clear its claim and give
	// it a new version instead of removing it. On OpSet and OpReplace with
	// IfVersion it also stores a value whose CAS is lower than the item's
	// version: as a stale one that keeps the item's expiry and claim.
	Invalidate

	// DropValue makes OpDelete keep the item, expiry included, but store an
	// empty value with zero flags. It combines with Invalidate.
	DropValue

	// Peek makes OpGet leave no trace: it neither claims a stale item nor
	// counts as an access. SetExpiry and Vivify keep their effect.
	Peek

	// NoClaim makes OpGet leave the claim of a stale item to others, who can be
	// told of it. It counts as an access all the same.
	NoClaim

	// Tracked makes the store keep Born, Created and Owner of the item that the
	// command stores. An item that is tracked already stays so without it, with
	// its owner. OpSet, OpAdd, OpReplace and a command that vivifies give it the
	// command's Owner, others leave the owner alone. It has no meaning for
	// OpTouch and OpDelete.
	Tracked

	// IfBorn applies OpSet, OpAdd and OpReplace only if the key holds the session
	// that began at Born; otherwise, and if the key is absent, the status is
	// Fenced. It counts before every other condition.
	IfBorn
)

// Command is one operation on one key (OpFlush: on all keys). It carries all
// that its effect depends on besides the store's state, so that a log of
// commands can be replayed.
//
// The zero value of a field that an Op does not mention is right.
type Command struct {
	Op   Op
	Mods Mods

	Key   []byte
	Value []byte // the data of OpSet to OpPrepend
	Flags uint32 // of OpSet, OpAdd, OpReplace, and of vivified items

	// Expiry is the item's new expiry, absolute. An instant that is not after
	// the burst's Now stores an item that is already expired: the answer is
	// that of a success, and the key is absent afterwards.
	Expiry Time

	CAS           uint64 // with IfVersion
	NewVersion    uint64 // with SetVersion; must not be 0
	Delta         uint64 // OpIncr, OpDecr
	Initial       uint64 // OpIncr, OpDecr with Vivify
	VivifyExpiry  Time   // with Vivify
	RecacheBefore Time   // with Recache
	FlushAt       Time   // OpFlush
	Created       Time   // with Tracked: of the session that the command begins; 0: the burst's Now
	Owner         []byte // with Tracked; at most MaxOwnerLen bytes, or the command is malformed

	// Limit, in milliseconds, bounds the life of a tracked item that the command
	// stores or touches: it expires no later than that after Created. 0: no
	// bound.
	Limit Time

	Born uint64 // with IfBorn
}

// Bound returns the expiry of an item that the command stores or touches: the one
// given, but no later than Limit allows. created is 0 if it is not known.
func (c *Command) Bound(expiry, created Time) Time {
	last := created + c.Limit
	if c.Limit <= 0 || created == 0 || last < created {
		return expiry
	}
	return min(expiry, last)
}

// Has reports whether all bits of m are set.
func (c *Command) Has(m Mods) bool { return c.Mods&m == m }

// Writes reports whether the command can change the store's durable state. A
// plain OpGet does not, though finding a stale item makes it claim that item,
// which is a write.
func (c *Command) Writes() bool {
	return c.Op != OpGet || c.Mods&(SetExpiry|Vivify|Recache) != 0
}

// Status is the outcome of a Command.
type Status uint8

const (
	// OK: the item was found, stored, touched, changed or removed.
	OK Status = iota + 1

	// NotFound: the key is absent and the command needs it present.
	NotFound

	// NotStored: the condition of OpAdd, OpReplace, OpAppend or OpPrepend
	// does not hold. The item, if there is one, is unchanged.
	NotStored

	// Exists: the item's version is not the CAS of the command.
	Exists

	// NotNumeric: OpIncr or OpDecr met a value that is not a number.
	NotNumeric

	// TooLarge: the value would exceed the store's limit. The item, if there
	// is one, is unchanged. A Value that exceeds it by itself gets this status
	// whatever is stored under the key.
	TooLarge

	// Failed: the store could not do it; Result.Err says why. The item, if
	// there is one, is unchanged.
	Failed

	// Fenced: the session that IfBorn names is not there any more. The item, if
	// there is one, is unchanged.
	Fenced
)

// Result is the outcome of the Command at the same index of the Burst.
type Result struct {
	Status Status

	// Item is what the command left behind, or what it removed. OpGet, OpIncr
	// and OpDecr fill all of it; every other successful Op on a key all but
	// Value. Fetched and LastAccess are those from before the command. Key
	// aliases the Command's. On any status but OK it is zero, except that a
	// NotStored of OpAdd may describe the item in the way.
	Item Item

	// Number is the value after OpIncr or OpDecr.
	Number uint64

	// Won says that this command claimed the item: its client is the one to
	// recache it.
	Won bool

	// Created says that Vivify made the item.
	Created bool

	// Err is set when, and only when, Status is Failed.
	Err error
}
