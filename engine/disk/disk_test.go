package disk

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// testOptions are the options of a disk that keeps spare logs.
func testOptions(t *testing.T, fs vfs.FS) Options {
	return Options{
		FS: fs, Dir: "data", MemtableBytes: 64 << 10, SpareLogs: 2,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
		Fatal:  func(err error) { panic(err) },
	}
}

// discard is for what is logged on purpose.
var discard = slog.New(slog.DiscardHandler)

// database is a Pebble on a Disk.
type database struct {
	*Disk
	db *pebble.DB // nil: closed
}

// open opens a database, which is closed when the test ends.
func open(t *testing.T, o Options) *database {
	t.Helper()
	d := openCalm(t, o)
	d.Opened()
	return d
}

// openCalm is open before Opened.
func openCalm(t *testing.T, o Options) *database {
	t.Helper()
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := &database{Disk: New(o)}
	if err := d.OpenLogs(); err != nil {
		t.Fatal(err)
	}
	d.LookAtSpace()
	options := new(pebble.Options)
	d.Configure(options)
	var err error
	if d.db, err = pebble.Open(o.Dir, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close(t) })
	return d
}

func (d *database) close(t *testing.T) {
	t.Helper()
	if d.db == nil {
		return
	}
	if err := d.db.Close(); err != nil {
		t.Error(err)
	}
	d.db = nil
}

// fillLogs writes several logs full.
func (d *database) fillLogs(t *testing.T) {
	t.Helper()
	for i := range 200 {
		if err := d.db.Set(fmt.Append(nil, "k", i%40), []byte(strings.Repeat("x", 3000)), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *database) prepare(t *testing.T) {
	t.Helper()
	if err := d.PrepareLogs(t.Context()); err != nil {
		t.Error(err)
	}
}

// files returns the sizes of the files with a suffix, by name.
func files(t *testing.T, o Options, suffix string) map[string]int64 {
	t.Helper()
	names, err := o.FS.List(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int64)
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			info, err := o.FS.Stat(o.FS.PathJoin(o.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			found[name] = info.Size()
		}
	}
	return found
}

func writeFile(t *testing.T, fs vfs.FS, path, content string) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = io.WriteString(f, content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
