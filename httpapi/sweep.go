package httpapi

import (
	"context"
	"fmt"

	"cairn/session"
)

// sweep deletes, or only counts, the sessions that a filter chooses. It scans
// for a batch, deletes it with the scan closed, and goes on behind it.
type sweep struct {
	server *Server
	filter filter
	result BulkDeleteResult

	burst session.Burst
	last  []byte // the last key looked at; nil before the first
}

// run ends when all is done, with an error of the scan or of the first delete
// that failed, or when ctx ends. The result is valid in every case.
func (w *sweep) run(ctx context.Context) error {
	for done := false; !done; {
		w.burst.Reset(w.server.engine.Now())
		var err error
		if done, err = w.collect(ctx); err != nil {
			return err
		}
		if err := w.delete(); err != nil {
			return err
		}
	}
	return nil
}

// collect fills the burst with deletes of the next matches. It reports true
// when there are none behind them.
func (w *sweep) collect(ctx context.Context) (done bool, err error) {
	done = true
	examine := func(it *session.Item) bool {
		if len(w.burst.Commands) == bulkBatch {
			done = false
			return false
		}
		w.result.Examined++
		w.last = append(w.last[:0], it.Key...)
		return true
	}
	err = w.filter.scan(ctx, w.server.engine, w.last, examine, func(it *session.Item) bool {
		w.result.Matched++
		w.result.Bytes += int64(len(it.Key) + len(it.Value))
		if !w.result.DryRun {
			c := w.burst.Add()
			c.Op, c.Mods, c.CAS = session.OpDelete, session.IfVersion, it.Version
			c.Key = append([]byte(nil), it.Key...)
		}
		return true
	})
	return done, err
}

func (w *sweep) delete() error {
	if len(w.burst.Commands) == 0 {
		return nil
	}
	session.Do(w.server.engine, &w.burst)
	var failed error
	for i := range w.burst.Results {
		switch r := &w.burst.Results[i]; r.Status {
		case session.OK:
			w.result.Deleted++
		case session.Failed:
			failed = r.Err
		}
	}
	return failed
}

// summary describes the outcome for the audit log.
func (w *sweep) summary() string {
	verb := "bulk delete"
	if w.result.DryRun {
		verb = "bulk delete (dry run)"
	}
	return fmt.Sprintf("%s prefix=%s matched=%d deleted=%d",
		verb, quoteKey(w.filter.prefix), w.result.Matched, w.result.Deleted)
}
