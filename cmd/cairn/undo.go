package main

import (
	"context"
	"path/filepath"
	"slices"

	"cairn/engine"
	"cairn/session"
	"cairn/undo"
)

// undoDir holds what can be undone, in the data directory.
const undoDir = "undo"

// undoBlocks is the memory for blocks of tables while a checkpoint is read.
const undoBlocks = 8 << 20

// newUndo makes the keeper of what can be undone, and lets the store ask it before it
// is flushed. It is called before the store is opened.
func (s *server) newUndo() *undo.Keeper {
	k := undo.New(undo.Options{
		Store: s.store, Dir: filepath.Join(s.cfg.DataDir, undoDir), For: s.cfg.Undo, Logger: s.logger,
		Open: func(dir string) (undo.Reader, error) {
			return engine.Open(engine.Options{
				Dir: dir, ReadOnly: true, JustClosed: true, DiskReserve: -1, HotBytes: -1, BlockCacheBytes: undoBlocks,
				MaxValueSize: int(s.cfg.MaxItemSize), Logger: s.logger,
			})
		},
	})
	if s.cfg.Undo > 0 {
		s.store.undo = k
	}
	return k
}

// flushesNow reports whether b deletes everything at once.
func flushesNow(b *session.Burst, now session.Time) bool {
	return slices.ContainsFunc(b.Commands, func(c session.Command) bool { return c.Op == session.OpFlush && c.FlushAt <= max(b.Now, now) })
}

// anybody is where a flush comes from that nobody has put a name to.
type anybody struct{ _ byte }

func (*anybody) Front() string { return "" }
func (*anybody) ID() uint64    { return 0 }
func (*anybody) User() string  { return "" }

// keepAndApply makes a flush one that can be undone, and carries it out. It does not
// wait for that.
func (s *store) keepAndApply(b *session.Burst, to session.Completer) {
	if b.Origin == nil {
		b.Origin = new(anybody)
	}
	s.flushes.Go(func() {
		_, done := s.undo.Before(context.Background(), "flush_all", b.Origin)
		s.locks.Apply(b, &afterFlush{to: to, done: done})
	})
}

// afterFlush passes on that a burst is complete.
type afterFlush struct {
	to   session.Completer
	done func()
}

// Complete is session.Completer's.
func (a *afterFlush) Complete(bursts []*session.Burst) {
	a.done()
	a.to.Complete(bursts)
}
