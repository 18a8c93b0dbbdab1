package engine

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// A power loss after the marker of a new manifest was made could leave the
// marker without the manifest, and no store that opens.
func TestPowerLossBetweenManifestAndMarker(t *testing.T) {
	clock, disk := sessiontest.NewClock(), vfs.NewCrashableMem()
	s := openStore(t, testOptions(t, disk, clock))
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	checkAndClose(t, s)

	rng := rand.New(rand.NewPCG(1, 2))
	var clones []*vfs.MemFS
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind == errorfs.OpRemove { // of the marker before, for one
			for range 20 {
				clones = append(clones, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
			}
		}
		return nil
	}))
	checkAndClose(t, openStore(t, testOptions(t, fs, clock)))
	if len(clones) == 0 {
		t.Fatal("no marker was moved")
	}
	for _, clone := range clones {
		wantValue(t, openStore(t, testOptions(t, clone, clock)), "k", "v")
	}
}
