package engine

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
)

// While a store is quiet it serves and compacts nothing; when it goes on, what
// has piled up is compacted.
func TestQuiesce(t *testing.T) {
	s, err := Open(Options{Dir: "data", FS: vfs.NewMem(), DropEvery: -1, MemtableBytes: 64 << 10, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fill := func(round int) {
		for i := range 200 {
			b := &session.Burst{Now: s.Now()}
			*b.Add() = session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "%d-%d", i, round), Value: make([]byte, 2000), Expiry: session.Never}
			if session.Do(s, b); b.Results[0].Status != session.OK {
				t.Fatal(b.Results[0])
			}
		}
		if err := s.Settle(); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 5 {
		fill(round)
	}
	if err := s.Quiesce(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := tablesOf(s)
	if before.Compact.NumInProgress > 0 || before.MemTable.Size > 512<<10 {
		t.Errorf("a quiet store has %+v", before)
	}
	for round := range 5 {
		fill(10 + round)
	}
	if after := tablesOf(s); after.Compact.Count != before.Compact.Count || after.Compact.NumInProgress > 0 {
		t.Errorf("%d compactions before, %d and %d running after", before.Compact.Count, after.Compact.Count, after.Compact.NumInProgress)
	}
	s.Resume()
	for tablesOf(s).Compact.Count == before.Compact.Count {
		time.Sleep(time.Millisecond)
	}

	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Quiesce(ended); err == nil {
		t.Error("Quiesce beyond its context")
	}
	before = tablesOf(s)
	for round := 20; tablesOf(s).Compact.Count == before.Compact.Count; round++ {
		fill(round)
	}
}

// tablesOf returns the figures of an open store's tables.
func tablesOf(s *Store) *TableFigures {
	f, _ := s.TableFigures()
	return f
}
