package admincli

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What a killed command has left goes with the next; what another one is writing, and
// files of others, stay.
func TestPartialsOfKilledCommandsGo(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, ".a.tar.zst.1"+partialSuffix)
	foreign := filepath.Join(dir, "notes"+partialSuffix)
	link := filepath.Join(dir, ".link"+partialSuffix)
	for _, name := range []string{left, foreign} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(foreign, link); err != nil {
		t.Fatal(err)
	}
	written, err := createPartial(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer written.Close()
	name := filepath.Join(dir, "c")
	if _, err := saveTo(name, nil, func(w io.Writer) (int, error) { return io.WriteString(w, "whole") }); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "whole" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := os.Lstat(left); !os.IsNotExist(err) {
		t.Errorf("what was left over: %v", err)
	}
	for _, stays := range []string{foreign, link, written.Name()} {
		if _, err := os.Lstat(stays); err != nil {
			t.Error(err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 4 {
		t.Errorf("there are %v", entries)
	}
}

func TestCutKey(t *testing.T) {
	for _, c := range []struct {
		key  string
		most int
		want string
	}{
		{"memc.sess.key.0123456789abcdef", 0, "memc.sess.key.0123456789abcdef"}, // no terminal
		{"memc.sess.key.0123456789abcdef", 30, "memc.sess.key.0123456789abcdef"},
		{"memc.sess.key.0123456789abcdef", 29, "memc.sess.key.012345…89abcdef"},
		{"memc.sess.key.0123456789abcdef", 3, "memc.se…89abcdef"}, // never less than 16
		{"ключключключключключ", 18, "ключключк…ключключ"},
	} {
		if got := cutKey(c.key, c.most); got != c.want {
			t.Errorf("%q cut to %d is %q, want %q", c.key, c.most, got, c.want)
		}
	}
}
