package undo

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"

	"cairn/session"
)

const (
	restoreItems = 256
	restoreBytes = 1 << 20
)

// Applied says what an undo has done.
type Applied struct {
	Examined int64 // sessions of the point
	Restored int64
	Present  int64 // are there now, or again
	Deleted  int64 // left out because others have deleted them since
}

// Apply brings back the sessions of a point whose keys begin with prefix. It can be done
// again. After an error what was done is valid. With afterCrash, ErrCrashed is no reason
// against it.
func (k *Keeper) Apply(ctx context.Context, id string, prefix []byte, afterCrash bool, from session.Origin) (done Applied, err error) {
	k.change.Lock()
	defer k.change.Unlock()
	p, deleted, err := k.find(id, afterCrash)
	if err != nil {
		return done, err
	}
	dir := filepath.Join(k.path(p), storeDir)
	if err := verify(dir, p.Files); err != nil {
		return done, err
	}
	reader, err := k.options.Open(dir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	r := restore{keeper: k, from: from, done: &done}
	r.begin()
	var failed error
	err = reader.Scan(ctx, prefix, nil, func(it *session.Item) bool {
		done.Examined++
		if _, ok := deleted[hashOf(it.Key)]; ok {
			done.Deleted++
			return true
		}
		if !it.Stale && it.Expiry > r.burst.Now { // stale: its application has given it up
			failed = r.add(it)
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err == nil {
		err = r.store()
	}
	return done, err
}

// find returns a point and what was deleted since.
func (k *Keeper) find(id string, afterCrash bool) (*point, map[uint64]struct{}, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.options.Store.Now()
	for i, p := range k.points {
		if p.ID != id || k.until(p) <= now {
			continue
		}
		if err := k.usable(i); err != nil && !(afterCrash && errors.Is(err, ErrCrashed)) {
			return nil, nil, err
		}
		deleted := map[uint64]struct{}{}
		for _, since := range k.points[i:] {
			for _, hash := range since.deleted {
				deleted[hash] = struct{}{}
			}
		}
		return p, deleted, nil
	}
	return nil, nil, ErrNotFound
}

// restore adds sessions to the store, many at a time.
type restore struct {
	keeper *Keeper
	from   session.Origin
	done   *Applied
	burst  session.Burst
	size   int
}

func (r *restore) begin() {
	r.burst.Reset(r.keeper.options.Store.Now())
	r.burst.Origin = r.from
	r.size = 0
}

func (r *restore) add(it *session.Item) error {
	c := r.burst.Add()
	*c = session.Command{
		Op: session.OpAdd, Key: bytes.Clone(it.Key), Value: bytes.Clone(it.Value), Flags: it.Flags, Expiry: it.Expiry,
	}
	if it.Created != 0 {
		c.Mods, c.Created, c.Owner = session.Tracked, it.Created, bytes.Clone(it.Owner)
	}
	if r.size += len(it.Key) + len(it.Value); len(r.burst.Commands) < restoreItems && r.size < restoreBytes {
		return nil
	}
	return r.store()
}

func (r *restore) store() error {
	if len(r.burst.Commands) == 0 {
		return nil
	}
	session.Do(r.keeper.options.Store, &r.burst)
	var failed error
	for i := range r.burst.Results {
		switch result := &r.burst.Results[i]; result.Status {
		case session.OK:
			r.done.Restored++
		case session.NotStored:
			r.done.Present++
		case session.Failed:
			failed = result.Err
		}
	}
	r.begin()
	return failed
}
