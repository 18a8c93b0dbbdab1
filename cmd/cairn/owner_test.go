package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const stranger = 65532

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// TestGiveTreeStaysInTheTree lets the user of a data directory plant links to
// what is root's in it.
func TestGiveTreeStaysInTheTree(t *testing.T) {
	needRoot(t)
	dir, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "shadow")
	for _, path := range []string{secret, filepath.Join(dir, "000001.sst"), filepath.Join(dir, "scratch/a/000002.sst")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []struct {
		make     func(string, string) error
		to, name string
	}{
		{os.Symlink, outside, "directory"},
		{os.Symlink, secret, "file"},
		{os.Link, secret, "hard"},
		{os.Link, filepath.Join(dir, "000001.sst"), "scratch/a/000001.sst"}, // a checkpoint
	} {
		if err := link.make(link.to, filepath.Join(dir, link.name)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	if err := giveTree(dir, stranger, stranger, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		".": stranger, "000001.sst": stranger, "scratch/a": stranger, "scratch/a/000001.sst": stranger,
		"scratch/a/000002.sst": stranger, "directory": stranger, "file": stranger, "hard": 0,
	} {
		if got := ownerOf(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s belongs to %d, want %d", name, got, want)
		}
	}
	for _, path := range []string{outside, secret} {
		if got := ownerOf(t, path); got != 0 {
			t.Errorf("%s was given to %d", path, got)
		}
	}
	if !strings.Contains(log.String(), "file=hard") {
		t.Errorf("log: %s", &log)
	}
}

// TestGiveTreeThroughALink follows root's link to the data directory, and no
// other's.
func TestGiveTreeThroughALink(t *testing.T) {
	needRoot(t)
	parent := t.TempDir()
	link, dir := filepath.Join(parent, "link"), filepath.Join(parent, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("data", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	if err := giveTree(link, stranger, stranger, slog.Default()); err == nil || ownerOf(t, dir) != 0 {
		t.Errorf("a stranger's link was followed: %v, owner %d", err, ownerOf(t, dir))
	}
	if err := os.Lchown(link, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := giveTree(link, stranger, stranger, slog.Default()); err != nil || ownerOf(t, dir) != stranger {
		t.Errorf("root's link: %v, owner %d", err, ownerOf(t, dir))
	}
}
