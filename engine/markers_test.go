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
	withAndWithoutSpares(t, testMarkers)
}

// withAndWithoutSpares runs a test on stores whose logs grow, and on those that keep a
// spare one. The options that it passes are for one clock.
func withAndWithoutSpares(t *testing.T, test func(t *testing.T, options func(vfs.FS) Options)) {
	for name, spares := range map[string]int{"logs that grow": 0, "spare logs": 1} {
		t.Run(name, func(t *testing.T) {
			clock := sessiontest.NewClock()
			test(t, func(fs vfs.FS) Options {
				o := testOptions(t, fs, clock)
				o.SpareLogs = spares
				return o
			})
		})
	}
}

func testMarkers(t *testing.T, options func(vfs.FS) Options) {
	disk := vfs.NewCrashableMem()
	s := openStore(t, options(disk))
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	checkAndClose(t, s)

	rng := rand.New(rand.NewPCG(1, 2))
	var clones []*vfs.MemFS
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind == errorfs.OpRemove { // of the marker before, for one
			for range 8 {
				clones = append(clones, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
			}
		}
		return nil
	}))
	checkAndClose(t, openStore(t, options(fs)))
	if len(clones) == 0 {
		t.Fatal("no marker was moved")
	}
	for _, clone := range clones {
		wantValue(t, openStore(t, options(clone)), "k", "v")
	}
}
