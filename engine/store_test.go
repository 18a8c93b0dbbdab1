package engine

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// testOptions are those of a small store in memory that does nothing by
// itself. clock.Wall tells it the time.
func testOptions(t *testing.T, fs vfs.FS, clock *sessiontest.Clock) Options {
	return Options{
		Dir:           "data",
		FS:            fs,
		Observers:     new(session.Observers),
		Logger:        slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
		Wall:          clock.Wall,
		HotBytes:      256 << 10,
		MaxValueSize:  4096,
		MemtableBytes: 256 << 10,
		DropEvery:     -1,
		Fatal:         func(err error) { panic(err) },
	}
}

// openStore opens a store that is checked and closed when the test ends.
func openStore(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkAndClose(t, s) })
	return s
}

// checkAndClose checks the invariants of a store that is still open, and
// closes it.
func checkAndClose(t *testing.T, s *Store) {
	t.Helper()
	if !s.doors.closed.Load() {
		checkInvariants(t, s)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestConformance(t *testing.T) {
	for _, variant := range []struct {
		name string
		set  func(o *Options)
	}{
		{"Sync", func(*Options) {}},
		{"Interval", func(o *Options) { o.Durability.Interval = MaxInterval }},
		{"Block", func(o *Options) { o.Compression = CompressionBlock }},
		{"AllLarge", func(o *Options) { o.largeValue, o.HotBytes = 1, 2000 }},
		{"NoCache", func(o *Options) { o.HotBytes = -1 }},
		{"TinyCache", func(o *Options) { o.HotBytes = 2000 }},
	} {
		t.Run(variant.name, func(t *testing.T) {
			sessiontest.Run(t, func(t *testing.T, clock *sessiontest.Clock) *sessiontest.Instance {
				o := testOptions(t, vfs.NewMem(), clock)
				variant.set(&o)
				store := openStore(t, o)
				return &sessiontest.Instance{
					Store:        store,
					MaxValueSize: o.MaxValueSize,
					Reopen: func() session.Store {
						checkAndClose(t, store)
						store = openStore(t, o)
						return store
					},
					Close: func() error {
						if !store.doors.closed.Load() {
							checkInvariants(t, store)
						}
						return store.Close()
					},
				}
			})
		})
	}
}
