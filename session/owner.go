package session

import "context"

// OwnerSummary is what is known of the live items of one owner.
type OwnerSummary struct {
	Owner    []byte
	Sessions int64

	// Oldest is when the first of them began; 0: unknown. LastAccess is when one
	// of them was last read or stored, as far as that is known (see Item).
	Oldest     Time
	LastAccess Time
}

// Add counts an item of the owner.
func (o *OwnerSummary) Add(it *Item) {
	o.Sessions++
	if it.Created != 0 && (o.Oldest == 0 || it.Created < o.Oldest) {
		o.Oldest = it.Created
	}
	o.LastAccess = max(o.LastAccess, it.LastAccess)
}

// Owned is a store that knows what belongs to whom. An item that lives through a
// scan, and keeps its owner, is in it exactly once. Items and summaries are valid
// during the call of fn only.
type Owned interface {
	// ScanOwner calls fn for the live items of an owner whose keys come after
	// `after` (nil: all), keys ascending, until fn returns false or ctx is done.
	// The items have no values unless values is set.
	ScanOwner(ctx context.Context, owner, after []byte, values bool, fn func(*Item) bool) error

	// ScanOwners calls fn for the owners that begin with prefix and come after
	// `after` (nil: all): shorter ones first, and ascending among those of one
	// length.
	ScanOwners(ctx context.Context, prefix, after []byte, fn func(*OwnerSummary) bool) error
}
