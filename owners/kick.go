package owners

import (
	"bytes"
	"context"
	"fmt"

	"cairn/session"
)

const (
	// kickBatch is how many sessions end with one burst.
	kickBatch = 512

	// kickRounds bounds how often a kick looks again.
	kickRounds = 100
)

// Kick says which sessions are to end.
type Kick struct {
	Owner  []byte         // an id, or a hash
	Except []byte         // the key of the session to keep; nil: none
	DryRun bool           // only count them
	Origin session.Origin // who does it
}

// Kicked says what a Kick has done.
type Kicked struct {
	Matched int64 // sessions there were, but for the one to keep
	Deleted int64
	Undo    string // names what can be undone; "": nothing
}

// Kick ends the sessions of an owner. It looks again until there are none that began
// before it did: what a request under way stores is kept out by the fence, or found
// here. Sessions that begin meanwhile stay. After an error what was done is valid.
func (d *Directory) Kick(ctx context.Context, k Kick) (Kicked, error) {
	if k.Origin == nil {
		k.Origin = new(kickOrigin)
	}
	began := d.options.Store.Now()
	var done Kicked
	err := d.Sessions(ctx, k.Owner, nil, false, func(it *session.Item) bool {
		if k.ends(it, session.Never) {
			done.Matched++
		}
		return true
	})
	if err != nil || k.DryRun || done.Matched == 0 {
		return done, err
	}
	if done.Matched > Many && d.options.Undo != nil {
		var over func()
		done.Undo, over = d.options.Undo.Before(ctx, fmt.Sprintf("end %d sessions of %q", done.Matched, k.Owner), k.Origin)
		defer over()
	}
	before := session.Never // all there are, by whatever clock
	for range kickRounds {
		keys, err := d.toEnd(ctx, &k, before)
		before = began
		if err != nil || len(keys) == 0 {
			return done, err
		}
		n, err := d.end(keys, k.Origin)
		done.Deleted += n
		d.counts.kicked.Add(uint64(n))
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// KickOthers ends all sessions of the owner of one, but for that. found is false if
// there is no such session, or if it has no owner.
func (d *Directory) KickOthers(ctx context.Context, key []byte, from session.Origin) (done Kicked, found bool, err error) {
	var b session.Burst
	b.Reset(d.options.Store.Now())
	*b.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: key}
	session.Do(d.options.Store, &b)
	r := &b.Results[0]
	if r.Status != session.OK || len(r.Item.Owner) == 0 {
		return done, false, r.Err
	}
	done, err = d.Kick(ctx, Kick{Owner: bytes.Clone(r.Item.Owner), Except: key, Origin: from})
	return done, true, err
}

// ends reports whether the session ends, if it must have begun by then.
func (k *Kick) ends(it *session.Item, by session.Time) bool {
	return it.Created <= by && (k.Except == nil || !bytes.Equal(it.Key, k.Except))
}

// toEnd lists the keys of the sessions to end.
func (d *Directory) toEnd(ctx context.Context, k *Kick, by session.Time) (keys [][]byte, err error) {
	err = d.Sessions(ctx, k.Owner, nil, false, func(it *session.Item) bool {
		if k.ends(it, by) {
			keys = append(keys, bytes.Clone(it.Key))
		}
		return true
	})
	return keys, err
}

// end deletes sessions and returns how many there were.
func (d *Directory) end(keys [][]byte, from session.Origin) (n int64, err error) {
	for len(keys) > 0 {
		batch := keys[:min(len(keys), kickBatch)]
		keys = keys[len(batch):]
		var b session.Burst
		b.Reset(d.options.Store.Now())
		b.Origin = from
		for _, key := range batch {
			*b.Add() = session.Command{Op: session.OpDelete, Key: key}
		}
		session.Do(d.options.Store, &b)
		for i := range b.Results {
			switch r := &b.Results[i]; r.Status {
			case session.OK:
				n++
			case session.Failed:
				err = r.Err
			}
		}
		if err != nil {
			break
		}
	}
	return n, err
}
