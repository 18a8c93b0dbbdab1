package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"cairn/session"
)

var _ session.Owned = (*Store)(nil)

// ScanOwner is session.Owned's.
func (s *Store) ScanOwner(ctx context.Context, owner, after []byte, values bool, fn func(*session.Item) bool) error {
	for _, it := range s.Items(s.Now()) {
		if len(owner) == 0 || !bytes.Equal(it.Owner, owner) || after != nil && bytes.Compare(it.Key, after) <= 0 {
			continue
		}
		if !values {
			it.Value = nil
		}
		if ctx.Err() != nil || !fn(&it) {
			break
		}
	}
	return ctx.Err()
}

// ScanOwners is session.Owned's.
func (s *Store) ScanOwners(ctx context.Context, prefix, after []byte, fn func(*session.OwnerSummary) bool) error {
	byOwner := make(map[string]*session.OwnerSummary)
	var all []*session.OwnerSummary
	for _, it := range s.Items(s.Now()) {
		if len(it.Owner) == 0 || !bytes.HasPrefix(it.Owner, prefix) || after != nil && compareOwners(it.Owner, after) <= 0 {
			continue
		}
		o := byOwner[string(it.Owner)]
		if o == nil {
			o = &session.OwnerSummary{Owner: it.Owner}
			byOwner[string(it.Owner)] = o
			all = append(all, o)
		}
		o.Add(&it)
	}
	slices.SortFunc(all, func(a, b *session.OwnerSummary) int { return compareOwners(a.Owner, b.Owner) })
	for _, o := range all {
		if ctx.Err() != nil || !fn(o) {
			break
		}
	}
	return ctx.Err()
}

// compareOwners is the order in which owners are listed.
func compareOwners(a, b []byte) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
}
