package cluster

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"

	"cairn/engine"
	"cairn/session"
)

// Scan calls fn for live items whose keys begin with prefix and come after `after`
// (nil: all of them), keys ascending, until fn returns false or ctx is done. It shows
// what was acknowledged anywhere before it was called, and reads this node's
// replicas. The item is valid only during the call.
func (s *Store) Scan(ctx context.Context, prefix, after []byte, fn func(it *session.Item) bool) error {
	return s.merge(ctx, fn, func(e *engine.Store, ctx context.Context, fn func(*session.Item) bool) error {
		return e.Scan(ctx, prefix, after, fn)
	})
}

// ScanOwner is session.Owned's. It shows what Scan does.
func (s *Store) ScanOwner(ctx context.Context, owner, after []byte, values bool, fn func(*session.Item) bool) error {
	return s.merge(ctx, fn, func(e *engine.Store, ctx context.Context, fn func(*session.Item) bool) error {
		return e.ScanOwner(ctx, owner, after, values, fn)
	})
}

// scan calls fn for items of an engine, keys ascending, until it returns false.
type scan func(e *engine.Store, ctx context.Context, fn func(*session.Item) bool) error

// merge scans all groups at once, and calls fn for their items, keys ascending.
func (s *Store) merge(ctx context.Context, fn func(it *session.Item) bool, scan scan) error {
	if err := s.barrier(ctx); err != nil {
		return err
	}
	if len(s.shards) == 1 {
		return scan(s.shards[0].engine(), ctx, fn)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return mergeSorted(len(s.shards), func(i int, yield func(*session.Item) bool) error {
		return scan(s.shards[i].engine(), ctx, yield)
	}, func(a, b *session.Item) int { return bytes.Compare(a.Key, b.Key) }, func(items []*session.Item) bool { return fn(items[0]) })
}

// ScanOwners is session.Owned's. It shows what Scan does.
func (s *Store) ScanOwners(ctx context.Context, prefix, after []byte, fn func(*session.OwnerSummary) bool) error {
	if err := s.barrier(ctx); err != nil {
		return err
	}
	if len(s.shards) == 1 {
		return s.shards[0].engine().ScanOwners(ctx, prefix, after, fn)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return mergeSorted(len(s.shards), func(i int, yield func(*session.OwnerSummary) bool) error {
		return s.shards[i].engine().ScanOwners(ctx, prefix, after, yield)
	}, compareOwners, func(same []*session.OwnerSummary) bool { return fn(sumOfOwners(same)) })
}

func compareOwners(a, b *session.OwnerSummary) int {
	return cmp.Or(cmp.Compare(len(a.Owner), len(b.Owner)), bytes.Compare(a.Owner, b.Owner))
}

// sumOfOwners is what several groups know of one owner.
func sumOfOwners(same []*session.OwnerSummary) *session.OwnerSummary {
	sum := *same[0]
	for _, o := range same[1:] {
		sum.Sessions += o.Sessions
		if o.Oldest != 0 && (sum.Oldest == 0 || o.Oldest < sum.Oldest) {
			sum.Oldest = o.Oldest
		}
		sum.LastAccess = max(sum.LastAccess, o.LastAccess)
	}
	return &sum
}

// mergeSorted runs n sources, each of which yields its elements in order, and calls fn
// for all elements that are next and equal, until that returns false.
func mergeSorted[T any](n int, source func(i int, yield func(*T) bool) error, compare func(a, b *T) int, fn func(same []*T) bool) error {
	type head struct {
		next func() (*T, error, bool)
		at   *T // nil: at the end
	}
	heads := make([]head, n)
	advance := func(h *head) (err error) {
		var ok bool
		if h.at, err, ok = h.next(); !ok {
			h.at = nil
		}
		return err
	}
	for i := range heads {
		next, stop := iter.Pull2(pulled(func(yield func(*T) bool) error { return source(i, yield) }))
		defer stop()
		heads[i].next = next
		if err := advance(&heads[i]); err != nil {
			return err
		}
	}
	for {
		var least []*head
		for i := range heads {
			h := &heads[i]
			switch {
			case h.at == nil:
			case len(least) == 0 || compare(h.at, least[0].at) < 0:
				least = append(least[:0], h)
			case compare(h.at, least[0].at) == 0:
				least = append(least, h)
			}
		}
		if len(least) == 0 {
			return nil
		}
		same := make([]*T, len(least))
		for i, h := range least {
			same[i] = h.at
		}
		if !fn(same) {
			return nil
		}
		for _, h := range least {
			if err := advance(h); err != nil {
				return err
			}
		}
	}
}

// pulled makes a sequence of a function that yields elements; its error is the last
// one.
func pulled[T any](run func(yield func(*T) bool) error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		stopped := false
		err := run(func(x *T) bool {
			stopped = !yield(x, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// Stats are the sums of this node's replicas.
func (s *Store) Stats() (sum session.Stats) {
	for _, d := range s.shards {
		st := d.engine().Stats()
		sum.Items += st.Items
		sum.Bytes += st.Bytes
		sum.TotalItems += st.TotalItems
		sum.Expired += st.Expired
		sum.Flushes = max(sum.Flushes, st.Flushes)
		sum.Hot.Items += st.Hot.Items
		sum.Hot.Bytes += st.Hot.Bytes
		sum.Hot.Capacity += st.Hot.Capacity
		sum.Hot.Hits += st.Hot.Hits
		sum.Hot.Misses += st.Hot.Misses
		sum.Hot.Evicted += st.Hot.Evicted
		sum.Stalled = sum.Stalled || st.Stalled
		sum.OutOfSpace = sum.OutOfSpace || st.OutOfSpace
		sum.ReadOnly = sum.ReadOnly || st.ReadOnly
	}
	return sum
}

// Forecast says how many live items and bytes of this node's replicas expire in
// which minute, ascending.
func (s *Store) Forecast() []session.ForecastSlot {
	var all [][]session.ForecastSlot
	for _, d := range s.shards {
		all = append(all, d.engine().Forecast())
	}
	return mergeForecasts(all)
}

func mergeForecasts(all [][]session.ForecastSlot) (merged []session.ForecastSlot) {
	if len(all) == 1 {
		return all[0]
	}
	byMinute := map[session.Time]session.ForecastSlot{}
	for _, slots := range all {
		for _, slot := range slots {
			sum := byMinute[slot.From]
			byMinute[slot.From] = session.ForecastSlot{From: slot.From, Items: sum.Items + slot.Items, Bytes: sum.Bytes + slot.Bytes}
		}
	}
	for _, slot := range byMinute {
		merged = append(merged, slot)
	}
	slices.SortFunc(merged, func(a, b session.ForecastSlot) int { return cmp.Compare(a.From, b.From) })
	return merged
}
