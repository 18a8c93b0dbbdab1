// Package undo keeps what was there before many sessions end at once, for a while: a
// flush, a bulk delete or a kick that was a mistake can be undone.
//
// What is kept is a point: a checkpoint of the store, whose files are links to the
// store's own, and the keys that others have deleted since. To undo brings back the
// sessions of the point that are absent now, have not expired, and were not deleted by
// others. See DESIGN.md.
package undo

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"cairn/session"
)

// Store is what keeps the sessions.
type Store interface {
	session.Store
	session.Clock
	session.Observable

	// Checkpoint makes dir, which must not exist, a consistent copy.
	Checkpoint(dir string) error

	Stats() session.Stats
}

// Reader reads a checkpoint.
type Reader interface {
	Scan(ctx context.Context, prefix, after []byte, fn func(it *session.Item) bool) error
	Close() error
}

// Options configure a Keeper.
type Options struct {
	Store Store
	Dir   string // where points are; on the file system of the store

	// Open opens a checkpoint to be read.
	Open func(dir string) (Reader, error)

	// For is how long a point is kept; 0: there are none.
	For time.Duration

	Logger *slog.Logger // nil: slog.Default
}

const (
	// apart is the least time between two points: what is to be undone sooner after
	// one joins it.
	apart = session.Time(60_000)

	// maxNoted bounds the deletions that are noted for all points together. A point
	// for which more would be needed is given up.
	maxNoted = 4 << 20

	// tickEvery is the time between two looks at what is over.
	tickEvery = time.Second
)

var (
	// ErrNotFound is the error where there is no such point.
	ErrNotFound = errors.New("there is no such undo point: it may be too old")

	// ErrFlushed is the error of a point behind which everything was deleted.
	ErrFlushed = errors.New("all sessions were deleted since; undo that first")

	// ErrCrashed is the error of a point that is older than a crash of the server.
	ErrCrashed = errors.New("the server crashed since, so it may not know of all sessions that their users ended shortly before: those would come back")

	// ErrGivenUp is the error of a point that has outlived what can be noted.
	ErrGivenUp = errors.New("too many sessions were deleted since to tell them from those that would come back")
)

// Keeper keeps points. It is safe for concurrent use.
type Keeper struct {
	options Options

	change sync.Mutex // held while points are made, applied or removed

	saving sync.Mutex // held while files of points are written or closed

	mu     sync.Mutex // held for moments; the last of the three
	points []*point   // oldest first
	undone map[session.Origin]int
	cancel func() // ends the observation of the store; nil: nobody observes

	stop    context.CancelFunc // nil: not started
	running sync.WaitGroup
}

// Point says what can be undone.
type Point struct {
	ID       string
	Made     session.Time
	Until    session.Time // when it is removed
	Reason   string
	Sessions int64 // in the store when it was made
	Err      error // why it cannot be applied now; nil: it can
}

// New makes a Keeper. Start lets it work.
func New(o Options) *Keeper {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Keeper{options: o, undone: map[session.Origin]int{}}
}

// Start finds the points that there are, on a store that is open.
func (k *Keeper) Start() {
	k.change.Lock()
	defer k.change.Unlock()
	if err := k.load(); err != nil {
		k.options.Logger.Warn("undo points cannot be read", "error", err)
	}
	k.markAll(startMark)
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.mu.Lock()
	k.observe()
	k.mu.Unlock()
	k.running.Go(func() {
		ticker := time.NewTicker(tickEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				k.Tick()
			}
		}
	})
}

// Stop ends what Start has begun, when nothing is deleted any more. Points stay, with
// all that was noted for them.
func (k *Keeper) Stop() {
	k.change.Lock()
	if k.stop == nil {
		k.change.Unlock()
		return
	}
	k.stop()
	k.stop = nil
	k.change.Unlock()
	k.running.Wait()
	k.markAll(stopMark)
	for _, p := range k.list() {
		k.close(p)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.points = nil
	k.observe()
}

// Tick removes points whose time is over, all of them if the disk is short of space,
// and saves what was noted. A Keeper that was started does that by itself.
func (k *Keeper) Tick() {
	k.save()
	if len(k.list()) == 0 || !k.change.TryLock() {
		return
	}
	defer k.change.Unlock()
	short := k.options.Store.Stats().OutOfSpace
	now := k.options.Store.Now()
	for _, p := range k.list() {
		if short || k.until(p) <= now {
			k.remove(p)
		}
	}
}

func (k *Keeper) until(p *point) session.Time { return p.Made.Add(k.options.For) }

func (k *Keeper) list() []*point {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*point(nil), k.points...)
}

// Points lists what can be undone, the newest first.
func (k *Keeper) Points() (all []Point) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.options.Store.Now()
	for i := len(k.points) - 1; i >= 0; i-- {
		p := k.points[i]
		if k.until(p) > now {
			all = append(all, Point{ID: p.ID, Made: p.Made, Until: k.until(p), Reason: p.Reason, Sessions: p.Sessions, Err: k.usable(i)})
		}
	}
	return all
}

// usable tells why the point with that number cannot be applied. ErrCrashed is a
// reason that the operator may overrule.
func (k *Keeper) usable(i int) error {
	crashed := false
	for _, p := range k.points[i:] {
		switch {
		case p.flushed:
			return ErrFlushed
		case p.overflown:
			return ErrGivenUp
		}
		crashed = crashed || p.crashed
	}
	if crashed {
		return ErrCrashed
	}
	return nil
}

// Before makes a point, or joins a recent one, before the sessions end that the reason
// is about. What from deletes until done is called is what can be undone. Without a
// point, because there are to be none or because the disk does not let it be, id is "":
// nothing can be undone. from is not nil.
func (k *Keeper) Before(_ context.Context, reason string, from session.Origin) (id string, done func()) {
	if k == nil || k.options.For <= 0 {
		return "", func() {}
	}
	k.change.Lock()
	defer k.change.Unlock()
	id, err := k.make(reason)
	if err != nil {
		k.options.Logger.Warn("sessions that are about to be deleted cannot be kept for undo", "reason", reason, "error", err)
		return "", func() {}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.undone[from]++
	return id, sync.OnceFunc(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.undone[from]--; k.undone[from] == 0 {
			delete(k.undone, from)
		}
	})
}

var errNoRoom = errors.New("disk space is below the reserve")

// make makes a point or returns a recent one.
func (k *Keeper) make(reason string) (id string, err error) {
	stats, now := k.options.Store.Stats(), k.options.Store.Now()
	switch last := k.newest(); {
	case k.stop == nil:
		return "", session.ErrClosed
	case stats.OutOfSpace || stats.ReadOnly:
		return "", errNoRoom
	case last != nil && now < last.Made+apart:
		return last.ID, nil
	}
	// Before the checkpoint: what is deleted while it is made is noted for nothing at
	// worst, and a deletion that the checkpoint has no part of is noted.
	p := &point{Made: now, Reason: reason, Sessions: stats.Items, ID: idOf(now)}
	k.mu.Lock()
	k.points = append(k.points, p)
	k.observe()
	k.mu.Unlock()
	if err = k.write(p); err != nil {
		k.remove(p)
		return "", err
	}
	return p.ID, nil
}

func (k *Keeper) newest() *point {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.points); n > 0 {
		return k.points[n-1]
	}
	return nil
}

// remove lets go of a point. k.change is held.
func (k *Keeper) remove(p *point) {
	k.mu.Lock()
	for i, other := range k.points {
		if other == p {
			if i > 0 { // those before need what was noted since
				k.points[i-1].join(p)
			}
			k.points = append(k.points[:i:i], k.points[i+1:]...)
			break
		}
	}
	k.observe()
	k.mu.Unlock()
	k.save()
	k.close(p)
	if err := k.erase(p); err != nil {
		k.options.Logger.Warn("an undo point cannot be removed", "id", p.ID, "error", err)
	}
}

// Remove lets go of a point, or of all if id is "".
func (k *Keeper) Remove(id string) error {
	k.change.Lock()
	defer k.change.Unlock()
	err := ErrNotFound
	for _, p := range k.list() {
		if id == "" || p.ID == id {
			k.remove(p)
			err = nil
		}
	}
	if id == "" {
		err = nil
	}
	return err
}

// observe begins or ends the observation of the store, which is wanted as long as
// there are points. k.mu is held.
func (k *Keeper) observe() {
	switch wanted := len(k.points) > 0 && k.stop != nil; {
	case wanted && k.cancel == nil:
		k.cancel = k.options.Store.Subscribe(k)
	case !wanted && k.cancel != nil:
		k.cancel()
		k.cancel = nil
	}
}

// Observe is session.Observer's: it notes what was deleted.
func (k *Keeper) Observe(events []session.Event) {
	for i := range events {
		e := &events[i]
		switch e.Effect {
		case session.Deleted, session.Expired, session.Flushed:
		default:
			continue
		}
		k.mu.Lock()
		at := len(k.points) - 1
		if e.Origin != nil && k.undone[e.Origin] > 0 {
			at-- // the newest point is to bring it back, those before are not
		}
		if at >= 0 {
			k.note(k.points[at], e)
		}
		k.mu.Unlock()
	}
}

func (k *Keeper) note(p *point, e *session.Event) {
	if e.Effect == session.Flushed {
		p.mark(flushMark)
		return
	}
	total := 0
	for _, other := range k.points {
		total += len(other.deleted)
	}
	if total >= maxNoted {
		p.mark(overflowMark)
		return
	}
	p.mark(hashOf(e.Command.Key))
}

// hashOf stands for a key. It is none of the marks.
func hashOf(key []byte) uint64 { return max(xxh3.Hash(key), lastMark+1) }
