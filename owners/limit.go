package owners

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"

	"cairn/policy"
	"cairn/session"
)

// maxPending bounds the owners who wait for a look at how many sessions they have.
const maxPending = 1 << 16

// limits are the owners who have got a session of a rule that limits these.
type limits struct {
	mu      sync.Mutex
	pending map[limited]struct{}
	wake    chan struct{}
}

type limited struct{ rule, owner string }

func newLimits() limits {
	return limits{pending: map[limited]struct{}{}, wake: make(chan struct{}, 1)}
}

// note is called with locks of the store held.
func (l *limits) note(set *policy.Set, key, owner []byte) {
	rule := set.Owner(key)
	if rule == nil || rule.MaxPerOwner == 0 {
		return
	}
	l.mu.Lock()
	if len(l.pending) < maxPending {
		l.pending[limited{rule.Name, string(owner)}] = struct{}{}
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *limits) take() (all []limited) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.pending {
		all = append(all, one)
	}
	clear(l.pending)
	return all
}

// limit ends what is beyond the limit of an owner, until ctx ends.
func (d *Directory) limit(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.limits.wake:
		}
		for _, one := range d.limits.take() {
			if err := d.keepTo(ctx, one); err != nil && ctx.Err() == nil {
				d.options.Logger.Warn("a user may have more sessions than the rule allows", "rule", one.rule, "error", err)
			}
		}
	}
}

// keepTo ends the sessions of an owner, of one rule, that are beyond its limit: those
// that were not used for longest. Nodes that do it at once choose the same.
func (d *Directory) keepTo(ctx context.Context, one limited) error {
	set := d.options.Rules.Set()
	limit := 0
	var all []session.Item
	err := d.options.Store.ScanOwner(ctx, []byte(one.owner), nil, false, func(it *session.Item) bool {
		if rule := set.Owner(it.Key); rule != nil && rule.Name == one.rule {
			limit = rule.MaxPerOwner
			all = append(all, session.Item{Key: bytes.Clone(it.Key), Created: it.Created, LastAccess: it.LastAccess})
		}
		return true
	})
	if err != nil || limit == 0 || len(all) <= limit {
		return err
	}
	slices.SortFunc(all, func(a, b session.Item) int {
		return cmp.Or(cmp.Compare(used(&b), used(&a)), cmp.Compare(b.Created, a.Created), bytes.Compare(a.Key, b.Key))
	})
	var keys [][]byte
	for _, it := range all[limit:] {
		keys = append(keys, it.Key)
	}
	n, err := d.end(keys, limiter)
	d.counts.limited.Add(uint64(n))
	d.options.Logger.Debug("sessions have ended, because a user has more than the rule allows", "rule", one.rule, "ended", n)
	return err
}

// used is when a session was last used, as far as that is known.
func used(it *session.Item) session.Time { return max(it.LastAccess, it.Created) }
