package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cairn/adminapi"
	"cairn/owners"
	"cairn/session"
)

// sweep deletes, or only counts, the sessions that a filter chooses, a batch at
// a time while the scan goes on.
type sweep struct {
	server *Server
	filter filter
	result adminapi.BulkDeleteResult
	burst  session.Burst // deletes to come
	done   func()        // ends what can be undone; nil: not asked for yet
}

// run ends when all is done, with an error of the scan or of the first delete
// that failed, or when ctx ends. The result is valid in every case.
func (w *sweep) run(ctx context.Context) error {
	var failed error
	w.server.begin(ctx, &w.burst)
	defer func() {
		if w.done != nil {
			w.done()
		}
	}()
	examine := func(*session.Item) bool {
		w.result.Examined++
		return true
	}
	err := w.filter.scan(ctx, w.server, nil, examine, func(it *session.Item) bool {
		w.result.Matched++
		w.result.Bytes += int64(len(it.Key) + len(it.Value))
		if !w.result.DryRun {
			failed = w.add(it)
		}
		return failed == nil
	})
	if failed == nil {
		failed = w.delete()
	}
	return errors.Join(err, failed)
}

// add deletes the version of a session that the filter saw, or will.
func (w *sweep) add(it *session.Item) error {
	*w.burst.Add() = session.Command{
		Op: session.OpDelete, Mods: session.IfVersion, CAS: it.Version, Key: bytes.Clone(it.Key),
	}
	if len(w.burst.Commands) < bulkBatch {
		return nil
	}
	return w.delete()
}

// delete carries out the burst and begins another.
func (w *sweep) delete() error {
	if len(w.burst.Commands) == 0 {
		return nil
	}
	if w.done == nil && len(w.burst.Commands) > owners.Many { // the first batch is the only one, or a full one
		w.result.Undo, w.done = w.server.undo.Before(context.Background(), "bulk delete "+w.filter.String(), w.burst.Origin)
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
	w.server.again(&w.burst)
	return failed
}

// summary describes the outcome for the audit log.
func (w *sweep) summary() string {
	verb := "bulk delete"
	if w.result.DryRun {
		verb = "bulk delete (dry run)"
	}
	return fmt.Sprintf("%s %v matched=%d deleted=%d", verb, &w.filter, w.result.Matched, w.result.Deleted)
}
