package engine

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cairn/session"
)

// TestNewStoreClaimsLittleDisk stores a few megabytes and looks at the blocks
// that the logs occupy: each log of Pebble's first, small memtables used to
// claim 70 MB.
func TestNewStoreClaimsLittleDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openStore(t, Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), DropEvery: -1, Compression: CompressionOff})
	for i := range 100 {
		b := &session.Burst{Now: s.Now()}
		*b.Add() = session.Command{
			Op: session.OpSet, Key: fmt.Appendf(nil, "k%d", i), Value: make([]byte, 50<<10), Expiry: session.Never,
		}
		session.Do(s, b)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) < 3 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	occupied := int64(0)
	for _, path := range logs {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		occupied += info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	if most := int64(5<<20) + int64(len(logs))*5<<20; occupied > most {
		t.Errorf("%d logs occupy %d bytes", len(logs), occupied)
	}
}
