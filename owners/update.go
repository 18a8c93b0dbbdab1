package owners

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"cairn/policy"
	"cairn/session"
)

// stateFile holds the fingerprint of the rules by which the owners of all stored
// sessions were found. Without it, or with another, they are found anew.
const stateFile = "owners"

const (
	// lookBatch is how many sessions are looked at before a pause, and updateBatch how
	// many of them are written at most: 20,000 and 1,000 a second.
	lookBatch   = 2000
	updateBatch = 100
	updatePause = 100 * time.Millisecond

	// updateBytes bounds the values that are written at once.
	updateBytes = 4 << 20

	// updateRetry is how long after an error the rest is tried again.
	updateRetry = 10 * time.Second
)

// keepUp brings the owners of stored sessions up to date whenever the rules have
// changed, until ctx ends.
func (d *Directory) keepUp(ctx context.Context) {
	for ctx.Err() == nil {
		err := d.update(ctx)
		if err != nil && ctx.Err() == nil {
			d.options.Logger.Warn("the owners of stored sessions cannot be updated; trying again", "error", err)
			d.options.Wait(ctx, updateRetry)
			continue
		}
		if err == nil && !d.isUpToDate() {
			continue // the rules have changed meanwhile
		}
		select {
		case <-ctx.Done():
		case <-d.again:
		}
	}
}

func (d *Directory) isUpToDate() bool {
	fingerprint, err := d.readState()
	return err == nil && fingerprint == d.options.Rules.Set().OwnersFingerprint()
}

func (d *Directory) statePath() string { return filepath.Join(d.options.Dir, stateFile) }

// readState returns the fingerprint in the file, "" if there is none.
func (d *Directory) readState() (string, error) {
	content, err := os.ReadFile(d.statePath())
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(bytes.TrimSpace(content)), err
}

// writeState appears whole or not at all. Should a power cut take it back, the
// sessions are looked at once more.
func (d *Directory) writeState(fingerprint string) error {
	if fingerprint == "" {
		err := os.Remove(d.statePath())
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	temp := d.statePath() + ".tmp"
	if err := os.WriteFile(temp, []byte(fingerprint+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, d.statePath())
}

// update finds the owners of all stored sessions anew, unless that was done by the
// present rules.
func (d *Directory) update(ctx context.Context) error {
	set := d.options.Rules.Set()
	fingerprint := set.OwnersFingerprint()
	known, err := d.readState()
	if err != nil || known == fingerprint {
		d.complete.Store(err == nil)
		return err
	}
	d.complete.Store(false)
	began, before := time.Now(), d.counts.updated.Load()
	if known != "" {
		// From here on sessions have owners by several rules.
		if err := d.writeState("incomplete"); err != nil {
			return err
		}
	}
	for after := []byte(nil); ; {
		next, err := d.updateSome(ctx, set, after)
		if err != nil {
			return err
		}
		if next == nil || d.options.Rules.Set() != set {
			break
		}
		after = next
		d.options.Wait(ctx, updatePause)
	}
	if d.options.Rules.Set() != set {
		return nil // begin again
	}
	if err := d.writeState(fingerprint); err != nil {
		return err
	}
	d.complete.Store(true)
	d.options.Logger.Info("the owners of stored sessions are up to date",
		"changed", d.counts.updated.Load()-before, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// updateSome looks at sessions after a key and writes those whose owner is another. It
// returns the last key it has looked at, nil at the end.
func (d *Directory) updateSome(ctx context.Context, set *policy.Set, after []byte) (last []byte, err error) {
	var b session.Burst
	b.Reset(d.options.Store.Now())
	b.Origin = keeper
	looked, size, full := 0, 0, false
	err = d.options.Store.Scan(ctx, nil, after, func(it *session.Item) bool {
		if full = looked == lookBatch || len(b.Commands) == updateBatch || size >= updateBytes; full {
			return false
		}
		looked++
		last = append(last[:0], it.Key...)
		if stale(set, it) {
			*b.Add() = rewrite(it)
			size += len(it.Value)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if !full {
		last = nil
	}
	return last, d.write(&b)
}

// stale reports whether the owner of an item is another than the rules find. An item
// that its application has invalidated, or is about to store, is left alone.
func stale(set *policy.Set, it *session.Item) bool {
	if it.Stale || it.Claimed {
		return false
	}
	var owner []byte
	if rule := set.Owner(it.Key); rule != nil {
		owner = rule.OwnerOf(it.Value, it.Flags)
	}
	return !bytes.Equal(owner, it.Owner)
}

// rewrite stores an item as it is, under its version, if that is still there: the rules
// give the command the owner on its way to the store.
func rewrite(it *session.Item) session.Command {
	return session.Command{
		Op: session.OpSet, Mods: session.IfVersion | session.SetVersion | session.Tracked,
		Key: bytes.Clone(it.Key), Value: bytes.Clone(it.Value), Flags: it.Flags, Expiry: it.Expiry,
		CAS: it.Version, NewVersion: it.Version,
	}
}

func (d *Directory) write(b *session.Burst) error {
	if len(b.Commands) == 0 {
		return nil
	}
	session.Do(d.options.Store, b)
	var failed error
	for i := range b.Results {
		switch r := &b.Results[i]; r.Status {
		case session.OK:
			d.counts.updated.Add(1)
		case session.Failed:
			failed = r.Err
		}
	}
	return failed
}
