package backup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// storeSample is a sample with the file that makes it a store.
func storeSample(t testing.TB) string {
	dir := sample(t)
	if err := os.WriteFile(filepath.Join(dir, formatFile), []byte("cairn 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// expectFilled compares to with from, apart from what was in it before.
func expectFilled(t *testing.T, from, to string, before ...string) {
	t.Helper()
	want, got := contents(t, from), contents(t, to)
	for _, name := range before {
		want[name] = ""
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

// TestRestoreFillsTheDirectory restores through a link, into a directory that
// holds what volumes come with: it stays the directory that it was.
func TestRestoreFillsTheDirectory(t *testing.T) {
	from, parent := storeSample(t), t.TempDir()
	volume, link := filepath.Join(parent, "volume"), filepath.Join(parent, "link")
	if err := os.MkdirAll(filepath.Join(volume, "lost+found"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".keep", "LOCK"} {
		if err := os.WriteFile(filepath.Join(volume, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("volume", link); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(volume)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(bytes.NewReader(archiveOf(t, from)), link, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become %v (%v)", info.Mode(), err)
	}
	after, err := os.Stat(volume)
	if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() {
		t.Errorf("the directory was %v and is %v (%v)", before, after, err)
	}
	expectFilled(t, from, volume, ".keep", "LOCK")
}

func TestRestoreIntoTheWorkingDirectory(t *testing.T) {
	from := storeSample(t)
	t.Chdir(t.TempDir())
	if _, err := Restore(bytes.NewReader(archiveOf(t, from)), ".", nil); err != nil {
		t.Fatal(err)
	}
	expectFilled(t, from, ".")
}

// TestRestoreGivesTheFilesToTheOwner is root's restore into a directory that
// belongs to the server's user.
func TestRestoreGivesTheFilesToTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const uid = 65532
	dir := t.TempDir()
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(bytes.NewReader(archiveOf(t, storeSample(t))), dir, nil); err != nil {
		t.Fatal(err)
	}
	for name := range contents(t, dir) {
		for ; name != "."; name = filepath.Dir(name) {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uid {
				t.Errorf("%s belongs to %d", name, owner)
			}
		}
	}
}

// TestABadStoreLeavesNothing lets the look at the store fail after every file
// has arrived whole.
func TestABadStoreLeavesNothing(t *testing.T) {
	archive, bad := archiveOf(t, storeSample(t)), errors.New("bad store")
	parent := t.TempDir()
	for _, name := range []string{"absent", "absent/below/absent", "empty"} {
		dir := filepath.Join(parent, name)
		if name == "empty" {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Restore(bytes.NewReader(archive), dir, func(staged string) error {
			if len(contents(t, staged)) != 5 {
				t.Error("not all files are there to look at")
			}
			return bad
		})
		if !errors.Is(err, bad) {
			t.Errorf("%s: %v", name, err)
		}
		if left := contents(t, parent); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
		if _, err := os.Stat(dir); os.IsNotExist(err) != (name != "empty") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRestoreAfterAKilledOne lets a restore end between any two of its steps,
// and the next one begin from there.
func TestRestoreAfterAKilledOne(t *testing.T) {
	first, second := storeSample(t), storeSample(t)
	if err := os.Rename(filepath.Join(first, "000001.sst"), filepath.Join(first, "000002.sst")); err != nil {
		t.Fatal(err)
	}
	archive := archiveOf(t, second)
	for moved := -1; moved <= 4; moved++ {
		dir := t.TempDir()
		killed, err := openTarget(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := killed.extract(bytes.NewReader(archiveOf(t, first))); err != nil {
			t.Fatal(err)
		}
		if moved >= 0 {
			names, err := killed.storeNames()
			if err != nil || names[len(names)-1] != formatFile {
				t.Fatal(names, err)
			}
			if err := errors.Join(killed.announce(names), killed.move(names[:moved])); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Restore(bytes.NewReader(archive), dir, nil); !errors.Is(err, ErrBusy) {
			t.Errorf("two restores at once: %v", err)
		}
		killed.close()
		if _, err := Restore(bytes.NewReader(archive), dir, nil); err != nil {
			t.Fatalf("%d files moved: %v", moved, err)
		}
		expectFilled(t, second, dir)
	}
}
