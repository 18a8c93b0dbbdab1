package enginetest

import (
	"os"
	"path/filepath"
	"testing"
)

// Reads of tables wait, and nothing else does.
func TestOnlyReadsOfTablesWait(t *testing.T) {
	dir := t.TempDir()
	waits := 0
	fs := BeforeReads(nil, func() { waits++ })
	for name, slow := range map[string]bool{"000001.sst": true, "000002.log": false} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		waits = 0
		if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
			t.Fatal(err)
		}
		if slow != (waits == 1) {
			t.Errorf("%s: %d reads waited", name, waits)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
