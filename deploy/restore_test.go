package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cairn/backup"
	"cairn/engine"
	"cairn/session"
)

// TestRestoreIntoVolumes fills the volumes that the container file and the
// Kubernetes manifest mount, as their user, on a root that is read-only.
func TestRestoreIntoVolumes(t *testing.T) {
	needRoot(t)
	need(t, "unshare")
	root := t.TempDir()
	output(t, exec.Command("cp", cairn(t), filepath.Join(root, "cairn")))
	if err := os.Mkdir(filepath.Join(root, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	archive := archiveOfOne(t, "k", "hello")
	for name, prepare := range map[string]func(t *testing.T, volume string){
		"container": func(t *testing.T, volume string) {
			write(t, filepath.Join(volume, ".keep"), "", 0o644) // copied from the image
			give(t, volume, nobody, nobody, 0o755)
		},
		"kubernetes": func(t *testing.T, volume string) {
			if err := os.Mkdir(filepath.Join(volume, "lost+found"), 0o700); err != nil {
				t.Fatal(err)
			}
			give(t, volume, 0, nobody, 0o770|os.ModeSetgid) // fsGroup
		},
	} {
		t.Run(name, func(t *testing.T) {
			volume := t.TempDir()
			prepare(t, volume)
			letThrough(volume)
			restore := inContainer(root, volume, []string{"CAIRN_DATA_DIR=/data"}, "/cairn", "restore", "-")
			restore.Stdin = bytes.NewReader(archive)
			output(t, restore)
			output(t, inContainer(root, volume, []string{"CAIRN_DATA_DIR=/data"}, "/cairn", "check"))
			if value := valueIn(t, volume, "k"); value != "hello" {
				t.Errorf("the volume has %q", value)
			}
		})
	}
}

func give(t *testing.T, path string, uid, gid int, mode os.FileMode) {
	t.Helper()
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// archiveOfOne is a backup of a store with one session.
func archiveOfOne(t *testing.T, key, value string) []byte {
	t.Helper()
	dir := t.TempDir()
	store := openStore(t, filepath.Join(dir, "store"))
	var b session.Burst
	b.Reset(store.Now())
	c := b.Add()
	c.Op, c.Key, c.Value, c.Expiry = session.OpSet, []byte(key), []byte(value), session.Never
	session.Do(store, &b)
	if err := b.Results[0].Err; err != nil {
		t.Fatal(err)
	}
	checkpoint := filepath.Join(dir, "checkpoint")
	if err := store.Checkpoint(checkpoint); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := backup.Write(&archive, checkpoint, backup.Info{}); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func valueIn(t *testing.T, dir, key string) (value string) {
	t.Helper()
	store := openStore(t, dir)
	err := store.Scan(t.Context(), []byte(key), nil, func(it *session.Item) bool {
		value = string(it.Value)
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func openStore(t *testing.T, dir string) *engine.Store {
	t.Helper()
	store, err := engine.Open(engine.Options{Dir: dir, DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
