package torture

import (
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine"
	"cairn/session"
)

// TestPowerLossDuringFeatureUpgrade cuts the power at every operation of the disk
// while the store of an earlier release gets its first records that the release
// cannot read. Each disk must open, name in FORMAT what it holds (the check would
// find it), and hold what was acknowledged, with what is known of its sessions.
func TestPowerLossDuringFeatureUpgrade(t *testing.T) {
	t.Parallel()
	formats, points := make(map[string]int), 0
	for range rounds(1, 6) {
		base := vfs.NewCrashableMem()
		must(t, unpack("testdata/store-format1.tar.gz", base, "data"))
		m := newEveryMoment(t, cloneDisk(base), newRand(t))
		owner := new(powerOwner)
		m.owners = []*powerOwner{owner}
		options := upgradeOptions("data")
		options.FS = m.fs()
		store, err := engine.Open(options)
		must(t, err)
		m.arm(1)
		for i := range 4 {
			owner.started.Add(1)
			storeOwned(t, store, i)
			owner.finished.Add(1)
		}
		must(t, store.Settle())
		m.arm(0)
		must(t, store.Close())
		for _, point := range m.take() {
			points++
			formats[formatOf(t, point.disk)]++
			options.FS = cloneDisk(point.disk)
			must(t, engine.Check(options, func(problem engine.Problem) { t.Errorf("check: %s", problem) }))
			options.FS = point.disk
			verifyUpgrade(t, options)
			verifyOwned(t, options, point.least[0], point.most[0])
			if t.Failed() {
				t.Fatalf("after a power loss at %s, FORMAT is %q", point.kind, formatOf(t, point.disk))
			}
		}
	}
	if len(formats) != 2 {
		t.Errorf("formats %v, want the old and the new one", formats)
	}
	figures(t, "%d power losses while a store got records of a new form", points)
}

func ownedKey(i int) []byte { return fmt.Appendf(nil, "owned%d", i) }

func storeOwned(t *testing.T, store *engine.Store, i int) {
	t.Helper()
	b := &session.Burst{Now: store.Now()}
	*b.Add() = session.Command{
		Op: session.OpSet, Mods: session.Tracked, Key: ownedKey(i), Value: []byte("value"), Expiry: session.Never, Owner: ownedKey(i),
	}
	if session.Do(store, b); b.Results[0].Status != session.OK {
		t.Fatalf("set: %+v", b.Results[0])
	}
}

// verifyOwned opens a store that must hold the first least owned items and may
// hold the first most.
func verifyOwned(t *testing.T, o engine.Options, least, most int64) {
	t.Helper()
	store, err := engine.Open(o)
	must(t, err)
	defer store.Close()
	for i := range int(most) + 1 {
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: session.OpGet, Key: ownedKey(i)}
		session.Do(store, b)
		switch r := &b.Results[0]; {
		case r.Status == session.OK && i < int(most):
			if string(r.Item.Owner) != string(ownedKey(i)) || r.Item.Born != r.Item.Version || r.Item.Created == 0 {
				t.Errorf("item %d: %+v", i, r.Item)
			}
		case r.Status == session.NotFound && i >= int(least):
		default:
			t.Errorf("item %d of %d to %d: status %d, error %v", i, least, most, r.Status, r.Err)
		}
	}
}

func formatOf(t *testing.T, fs vfs.FS) string {
	t.Helper()
	f, err := fs.Open("data/FORMAT")
	must(t, err)
	defer f.Close()
	line, err := io.ReadAll(f)
	must(t, err)
	return string(line)
}
