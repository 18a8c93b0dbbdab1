package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/cmd/cairn/config"
)

// TestTheFirstLineSaysWhatStartsWhere starts where there was a store, and
// elsewhere with the same relative path.
func TestTheFirstLineSaysWhatStartsWhere(t *testing.T) {
	parent := t.TempDir()
	store := filepath.Join(parent, "cairn-data")
	for _, dir := range []string{store, filepath.Join(parent, "elsewhere")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(store, "FORMAT"), []byte("cairn 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	say := func(dir string) []string {
		t.Chdir(dir)
		var log bytes.Buffer
		announce(config.New(), "", slog.New(slog.NewTextHandler(&log, nil)))
		return strings.Split(strings.TrimSpace(log.String()), "\n")
	}
	lines := say(parent)
	if len(lines) != 1 || !strings.Contains(lines[0], "version="+version) ||
		!strings.Contains(lines[0], "data-dir="+store) || !strings.Contains(lines[0], "existing store") {
		t.Errorf("where there is a store: %q", lines)
	}
	if dir := absoluteDir(config.New()); dir != store {
		t.Errorf("the log names %s, not %s", dir, store)
	}
	lines = say(filepath.Join(parent, "elsewhere"))
	if len(lines) != 2 || !strings.Contains(lines[0], "new store") || !strings.Contains(lines[1], "stores="+store) {
		t.Errorf("elsewhere: %q", lines)
	}
}
