package engine

import (
	"context"
	"time"
)

const prepareEvery = time.Second

// PrepareLogs makes spare logs where Options.SpareLogs asks for them, if there
// is plenty of free space. The store calls it itself, once it has been written
// to, unless Options.DropEvery is negative.
func (s *Store) PrepareLogs(ctx context.Context) error { return s.files.disk.PrepareLogs(ctx) }

// prepareLogs is PrepareLogs in the background.
func (s *Store) prepareLogs(ctx context.Context) {
	if !s.files.disk.WorthLogs(s.counts.userWritten.Load()) {
		return
	}
	if err := s.PrepareLogs(ctx); err != nil {
		s.options.Logger.Warn("the log will be slower", "error", err)
	}
}
