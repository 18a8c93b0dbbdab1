package disk

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// store stores n small values, one sync each, and returns how often the log became
// longer.
func (d *database) store(t *testing.T, n int) (times int) {
	t.Helper()
	length := onlyLog(t, d.options)
	for i := range n {
		if err := d.db.Set(fmt.Append(nil, "k", i), []byte("small"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if now := onlyLog(t, d.options); now != length {
			length = now
			times++
		}
	}
	return times
}

// onlyLog returns the length of the only log.
func onlyLog(t *testing.T, o Options) (length int64) {
	t.Helper()
	logs := files(t, o, logExt)
	if len(logs) != 1 {
		t.Fatalf("logs %v", logs)
	}
	for _, length = range logs {
	}
	return length
}

// Otherwise each sync waits for the journal of the file system.
func TestLogIsLengthenedForManyWrites(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(t, fs)
	o.MemtableBytes = 8 << 20
	d := open(t, o)
	const n = 200
	if times := d.store(t, n); times != 1 {
		t.Errorf("%d small writes made the log longer %d times", n, times)
	}
	if length := onlyLog(t, o); length != lengthenBy {
		t.Errorf("the log is %d bytes long", length)
	}
	for _, percent := range []int{0, 50, 100} { // of what is not synced
		o.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 2))})
		after := open(t, o)
		for _, key := range []string{"k0", fmt.Sprint("k", n-1)} {
			_, closer, err := after.db.Get([]byte(key))
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			closer.Close()
		}
		after.close(t)
	}
}

// A log that cannot be lengthened grows as it is written.
func TestLogGrowsWhereItCannotBeLengthened(t *testing.T) {
	refused := 0
	fs := vfs.NewMem()
	o := testOptions(t, errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWriteAt {
			refused++
			return errorfs.ErrInjected
		}
		return nil
	})))
	o.MemtableBytes = 8 << 20
	d := open(t, o)
	const n = 20
	if times := d.store(t, n); times < n/2 || refused < n/2 {
		t.Errorf("the log became longer %d times, and could not be lengthened %d times", times, refused)
	}
	d.close(t)
	o.FS = fs
	if _, closer, err := open(t, o).db.Get(fmt.Append(nil, "k", n-1)); err != nil {
		t.Error(err)
	} else {
		closer.Close()
	}
}
