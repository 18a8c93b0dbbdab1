//go:build linux

package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ioctls of a file system: see ioctl_fsfreeze(2).
const (
	fiFreeze = 0xC0045877
	fiThaw   = 0xC0045878
)

// freeze makes all writes to the file system wait, and returns what ends that.
func (e *ext4) freeze(t *testing.T) (thaw func()) {
	t.Helper()
	dir, err := os.Open(e.dir)
	must(t, err)
	err = unix.IoctlSetInt(int(dir.Fd()), fiFreeze, 0)
	need(t, err == nil, fmt.Sprint("a file system that can be frozen: ", err))
	frozen := true
	thaw = func() {
		if frozen {
			frozen = false
			must(t, unix.IoctlSetInt(int(dir.Fd()), fiThaw, 0))
			dir.Close()
		}
	}
	t.Cleanup(thaw)
	return thaw
}

// TestLogFailsOverFromAFrozenDisk lets the disk of the data directory stop again and again
// under a server with --log-failover-dir. Writes go on, and are there after kill -9 while
// the disk still stands.
func TestLogFailsOverFromAFrozenDisk(t *testing.T) {
	for name, flags := range map[string][]string{
		"server":            nil,
		"node of a cluster": {"--cluster-listen", freeAddress(t), "--bootstrap-expect", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testLogFailsOver(t, flags)
		})
	}
}

func testLogFailsOver(t *testing.T, flags []string) {
	disk := newExt4(t, 1024) // each start of a node begins a segment
	other := filepath.Join(t.TempDir(), "logs")
	segments := filepath.Join(other, "*.log")
	if flags != nil {
		segments = filepath.Join(other, "log", "*.seg")
	}
	s := newServer(t, append(flags, "--log-failover-dir", other)...)
	s.dir = filepath.Join(disk.dir, "data")
	s.start()
	d := &diskFiller{t: t, c: s.mustConnect(text{})}
	d.mustStore(20)
	var waits []time.Duration
	for range rounds(2, 20) {
		thaw := disk.freeze(t)
		for range 20 {
			begun := time.Now()
			d.c.conn.SetDeadline(begun.Add(patience))
			d.mustStore(1)
			waits = append(waits, time.Since(begun))
		}
		d.c.conn.SetDeadline(time.Time{})
		d.verify()
		done := s.done
		s.cmd.Process.Kill()
		thaw() // no process ends before that which waits for the disk
		<-done
		s.cmd = nil
		if logs, err := filepath.Glob(segments); err != nil || len(logs) == 0 {
			t.Errorf("logs %q, %v", logs, err)
		}
		s.start()
		d.c = s.mustConnect(text{})
		d.verify()
		d.mustStore(5)
	}
	s.stop(20 * time.Second)
	if flags == nil { // A store knows without the flag where its log has been. A node's log wants to be told.
		s.flags = nil
		s.start()
		d.c = s.mustConnect(text{})
		d.verify()
		s.stop(20 * time.Second)
	}
	figures(t, "%d writes while the disk stood, the longest of which took %v; %d kills", len(waits), slices.Max(waits), rounds(2, 20))
}
