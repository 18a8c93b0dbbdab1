package disk

import (
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// forgetfulFile loses what it was to sync when a sync fails, as kernels do.
type forgetfulFile struct {
	vfs.File
	fails        int // syncs that are still to fail
	synced, size int64
}

func (f *forgetfulFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.size += int64(n)
	return n, err
}

func (f *forgetfulFile) SyncData() error {
	if f.fails == 0 {
		f.synced = f.size
		return f.File.SyncData()
	}
	f.fails--
	if _, err := f.File.WriteAt(make([]byte, f.size-f.synced), f.synced); err != nil {
		return err
	}
	return syscall.ENOSPC
}

// A sync that fails for want of space may have lost what it was to make durable. It
// is written again before the next one, which would else report success.
func TestFailedSyncIsWrittenAgain(t *testing.T) {
	fs := vfs.NewMem()
	inner, err := fs.Create("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	forgetful := &forgetfulFile{File: inner}
	f := &patientFile{File: forgetful, shortage: New(testOptions(t, fs)).shortage}
	want := ""
	for i, fails := range []int{0, 1, 3, 0} {
		piece := strings.Repeat(string(rune('a'+i)), 1000)
		want += piece
		if _, err := io.WriteString(f, piece); err != nil {
			t.Fatal(err)
		}
		forgetful.fails = fails
		if err := f.SyncData(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := inner.ReadAt(got, 0); err != nil || string(got) != want {
			t.Fatalf("after %d failed syncs the file has lost something (%v)", fails, err)
		}
	}
	if len(f.tail) > 0 {
		t.Errorf("%d bytes are kept though they are durable", len(f.tail))
	}
}

// What is kept in case a sync fails is bounded, however seldom one is asked for.
func TestUnsyncedTailIsBounded(t *testing.T) {
	fs := vfs.NewMem()
	inner, err := fs.Create("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f := &patientFile{File: inner, shortage: New(testOptions(t, fs)).shortage}
	for range 100 {
		if _, err := f.Write(make([]byte, 32<<10)); err != nil {
			t.Fatal(err)
		}
		if len(f.tail) > maxTail {
			t.Fatalf("%d bytes are kept", len(f.tail))
		}
	}
}

// A table that cannot be written is not written again at once and for ever.
func TestFailingFlushesRest(t *testing.T) {
	var full atomic.Bool
	var tables atomic.Int64
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && isTable(op.Path) && full.Load() {
			tables.Add(1)
			return syscall.ENOSPC
		}
		return nil
	}))
	o := testOptions(t, fs)
	o.Logger = discard
	d := open(t, o)
	if err := d.db.Set([]byte("k"), []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	flushed, err := d.db.AsyncFlush()
	if err != nil {
		t.Fatal(err)
	}
	for tables.Load() < 3 {
		select {
		case <-flushed:
			t.Fatal("a flush ended on a full disk")
		case <-time.After(time.Millisecond):
		}
	}
	if !d.Short() {
		t.Error("nobody is told that something waits")
	}
	d.shortage.mu.Lock()
	pause := d.shortage.failures
	d.shortage.mu.Unlock()
	full.Store(false)
	<-flushed
	if pause < 2 {
		t.Errorf("after three failures the pause counts %d", pause)
	}
	if d.Short() {
		t.Error("it is still said to wait")
	}
}
