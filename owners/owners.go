// Package owners works on all sessions of a user at once: it lists and ends them,
// keeps to the rules' limit per user, counts who is active, and brings the owners of
// stored sessions up to date when the rules change. Whose a session is, the store
// knows; rules say how it is found (package policy).
package owners

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cairn/policy"
	"cairn/session"
)

// Store is what keeps the sessions.
type Store interface {
	session.Store
	session.Clock
	session.Owned
	session.Observable

	// Scan calls fn with each live item whose key begins with prefix, keys
	// ascending, after the key after (nil: from the first), until fn returns false.
	Scan(ctx context.Context, prefix, after []byte, fn func(it *session.Item) bool) error
}

// Undo keeps what was there before many sessions end.
type Undo interface {
	// Before keeps it, if that can be, and returns its name, else "". What from
	// deletes until done is called is what can be undone.
	Before(ctx context.Context, reason string, from session.Origin) (id string, done func())
}

// Many is from how many sessions on their end can be undone.
const Many = 100

// Options configure a Directory.
type Options struct {
	Store Store
	Rules *policy.Rules

	// Dir is where the Directory notes, in a file, by which rules the owners of
	// stored sessions were found.
	Dir string

	Undo   Undo         // nil: nothing can be undone
	Logger *slog.Logger // nil: slog.Default

	// Wait returns after d, or when ctx ends. Default: it does.
	Wait func(ctx context.Context, d time.Duration)
}

// Directory knows owners and their sessions. It is safe for concurrent use.
type Directory struct {
	options Options
	active  *active
	counts  counts
	limits  limits

	mu     sync.Mutex // Start, Refresh, Stop
	cancel func()     // ends the observation; nil: nobody observes
	stop   context.CancelFunc
	work   sync.WaitGroup
	again  chan struct{} // wakes who brings owners up to date

	complete atomic.Bool
}

type counts struct {
	kicked, limited, updated atomic.Uint64
}

// New makes a Directory. Start lets it work.
func New(o Options) *Directory {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Directory{options: o, active: newActive(), again: make(chan struct{}, 1), limits: newLimits()}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Start begins what goes on in the background, on a store that is open.
func (d *Directory) Start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.observe()
	d.work.Go(func() { d.keepUp(ctx) })
	d.work.Go(func() { d.limit(ctx) })
}

// Refresh is called when the rules have changed.
func (d *Directory) Refresh() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.observe()
	}
	select {
	case d.again <- struct{}{}:
	default:
	}
	return nil
}

// Stop ends what Start has begun and waits for it. Start may be called again.
func (d *Directory) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop == nil {
		return
	}
	d.stop()
	d.stop = nil
	d.work.Wait()
	if d.cancel != nil {
		d.cancel()
		d.cancel = nil
	}
}

// observe begins or ends the observation of the store, as the rules need it.
func (d *Directory) observe() {
	switch wanted := d.options.Rules.Set().Owners(); {
	case wanted && d.cancel == nil:
		d.cancel = d.options.Store.Subscribe(d)
	case !wanted && d.cancel != nil:
		d.cancel()
		d.cancel = nil
	}
}

// Observe is session.Observer's.
func (d *Directory) Observe(events []session.Event) {
	for i := range events {
		e := &events[i]
		if e.Effect != session.Stored && e.Effect != session.Touched || e.Origin == keeper {
			continue
		}
		owner := e.Result.Item.Owner
		if len(owner) == 0 {
			continue
		}
		d.active.see(owner, e.Now)
		if e.NewOwner {
			d.limits.note(d.options.Rules.Set(), e.Command.Key, owner)
		}
	}
}

// Complete reports whether the owners of all stored sessions are those that the
// present rules find.
func (d *Directory) Complete() bool { return d.complete.Load() }

// List calls fn for the owners that begin with prefix and come after `after` (nil:
// all), as session.Owned has them.
func (d *Directory) List(ctx context.Context, prefix, after []byte, fn func(*session.OwnerSummary) bool) error {
	return d.options.Store.ScanOwners(ctx, prefix, after, fn)
}

// Summary says what there is of the owner with that id.
func (d *Directory) Summary(ctx context.Context, id []byte) (session.OwnerSummary, error) {
	sum := session.OwnerSummary{Owner: id}
	err := d.Sessions(ctx, id, nil, false, func(it *session.Item) bool {
		sum.Add(it)
		return true
	})
	return sum, err
}

// Sessions calls fn for the sessions of the owner with that id, or that hash, whose
// keys come after `after` (nil: all), keys ascending, until fn returns false. They have
// no values unless values is set. An item is valid during the call only.
func (d *Directory) Sessions(ctx context.Context, id, after []byte, values bool, fn func(*session.Item) bool) error {
	forms := d.options.Rules.Set().OwnerForms(id)
	if len(forms) == 1 {
		return d.options.Store.ScanOwner(ctx, forms[0], after, values, fn)
	}
	return d.merge(ctx, forms, after, values, fn)
}

// merge is Sessions for an owner whom the store may know by several names.
func (d *Directory) merge(ctx context.Context, forms [][]byte, after []byte, values bool, fn func(*session.Item) bool) error {
	type stream struct {
		next func() (*session.Item, bool)
		head *session.Item
	}
	var streams []*stream
	failed := make([]error, len(forms))
	for i, form := range forms {
		next, stop := iter.Pull(func(yield func(*session.Item) bool) {
			failed[i] = d.options.Store.ScanOwner(ctx, form, after, values, yield)
		})
		defer stop()
		if it, ok := next(); ok {
			streams = append(streams, &stream{next, it})
		}
	}
	for {
		var least *stream
		for _, s := range streams {
			if s.head != nil && (least == nil || bytes.Compare(s.head.Key, least.head.Key) < 0) {
				least = s
			}
		}
		if least == nil {
			break
		}
		if !fn(least.head) {
			return nil
		}
		least.head, _ = least.next()
	}
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// origin is where the Directory's own bursts come from.
type origin struct{}

func (*origin) Front() string { return "owners" }
func (*origin) ID() uint64    { return 0 }
func (*origin) User() string  { return "" }

var (
	keeper  session.Origin = &origin{} // brings owners up to date
	limiter session.Origin = new(limitOrigin)
)

type limitOrigin struct{ origin }

// kickOrigin is where a Kick of nobody comes from: each is one of its own.
type kickOrigin struct {
	origin
	_ byte
}
