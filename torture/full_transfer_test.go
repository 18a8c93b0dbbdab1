package torture

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFullDiskDuringBackupAndRestore takes backups while the server's disk has
// less and less space, and restores onto a disk that has too little: each is whole
// or fails in words, nothing half done is left, and the server goes on.
func TestFullDiskDuringBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, address := smallDisk(t, 96), freeAddress(t)
	s := newServer(t, "--http-listen", address)
	s.dir = filepath.Join(dir, "data")
	s.start()
	c := s.mustConnect(text{})
	d := &diskFiller{t: t, c: c}
	d.mustStore(200)
	ballast, archives := filepath.Join(dir, "ballast"), t.TempDir()
	whole, failed := "", 0
	for i, free := range []uint64{16 << 20, 4 << 20, 1 << 20, 256 << 10, 32 << 10, 0} {
		grow(t, ballast, dir, free)
		archive := filepath.Join(archives, string(rune('a'+i)))
		if command(t, "backup", archive, "--url", "http://"+address) {
			whole = archive
		} else {
			failed++
			if _, err := os.Stat(archive); err == nil {
				t.Errorf("with %d bytes free a backup failed and left its file", free)
			}
		}
		s.mustRun(0)
		if err := os.Truncate(ballast, 0); err != nil {
			t.Fatal(err)
		}
		d.untilAccepted()
	}
	d.verify()
	s.kill()
	s.start()
	d.c = s.mustConnect(text{})
	d.verify()
	if whole == "" || !command(t, "restore", whole, "--data-dir", filepath.Join(t.TempDir(), "data")) {
		t.Fatalf("no backup was whole, %d failed", failed)
	}
	restoreOntoFullDisk(t, whole)
	figures(t, "%d of 6 backups failed for lack of space, the others can be restored; a restore without space left nothing", failed)
}

// restoreOntoFullDisk restores an archive onto disks that are too small for it,
// and then, with room, into the same directory.
func restoreOntoFullDisk(t *testing.T, archive string) {
	t.Helper()
	dir := smallDisk(t, 32)
	ballast, data := filepath.Join(dir, "ballast"), filepath.Join(dir, "data")
	for _, free := range []uint64{0, 64 << 10, 1 << 20, 3 << 20} {
		grow(t, ballast, dir, free)
		if command(t, "restore", archive, "--data-dir", data) {
			t.Errorf("a store of 6 MB and more was restored into %d bytes", free)
		}
		if left, err := os.ReadDir(data); len(left) > 0 {
			t.Errorf("with %d bytes free a restore left %v, %v", free, left, err)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if !command(t, "restore", archive, "--data-dir", data) {
		t.Error("the restore failed with room, too")
	}
}

// command runs the program and reports whether it succeeded. If not, it must have
// said why in a few words.
func command(t *testing.T, args ...string) bool {
	t.Helper()
	said, err := exec.Command(cairn(t), args...).CombinedOutput()
	if err == nil {
		return true
	}
	if len(said) == 0 || len(said) > 2000 || bytes.Contains(said, []byte("goroutine")) {
		t.Errorf("%v: %v, %.500s", args, err, said)
	}
	t.Logf("%v: %s", args, said)
	return false
}
