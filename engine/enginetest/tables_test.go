package enginetest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Reads of tables wait, and nothing else does.
func TestOnlyReadsOfTablesWait(t *testing.T) {
	fs := NewTables(nil)
	fs.Hold()
	table, log := readerOf(t, fs, "000001.sst"), readerOf(t, fs, "000002.log")
	var reading sync.WaitGroup
	reading.Go(table)
	fs.AwaitHeld(1)
	log()
	if held := fs.Held(); held != 1 {
		t.Errorf("%d reads wait", held)
	}
	fs.Release()
	reading.Wait()
	if held := fs.Held(); held != 0 {
		t.Errorf("%d reads wait after Release", held)
	}
}

// readerOf returns what reads a byte of a new file of that name through fs.
func readerOf(t *testing.T, fs *Tables, name string) func() {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return func() {
		if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
			t.Error(err)
		}
	}
}
