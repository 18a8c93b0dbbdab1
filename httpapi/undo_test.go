package httpapi

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"cairn/adminapi"
	"cairn/session"
	"cairn/undo"
)

// fakeUndo is an Undo with the point p1 and one, p3, that cannot be applied. It
// remembers what it was asked for.
type fakeUndo struct{ asked []string }

func (u *fakeUndo) Before(_ context.Context, reason string, from session.Origin) (string, func()) {
	u.asked = append(u.asked, reason+" by "+from.Front())
	return "p1", func() { u.asked = append(u.asked, "done") }
}

func (u *fakeUndo) Points() []undo.Point {
	return []undo.Point{
		{ID: "p3", Made: testStart, Until: testStart + minute, Reason: "flush", Sessions: 7, Err: undo.ErrFlushed},
		{ID: "p1", Made: testStart - minute, Until: testStart, Reason: "kick", Sessions: 8},
	}
}

func (u *fakeUndo) find(id string) error {
	switch id {
	case "p1":
		return nil
	case "p3":
		return undo.ErrFlushed
	}
	return undo.ErrNotFound
}

func (u *fakeUndo) Apply(_ context.Context, id string, prefix []byte, _ bool, _ session.Origin) (undo.Applied, error) {
	u.asked = append(u.asked, fmt.Sprintf("%s %q", id, prefix))
	return undo.Applied{Examined: 3, Restored: 2, Present: 1}, u.find(id)
}

func (u *fakeUndo) Remove(id string) error { return u.find(id) }

// A flush and the delete of many can be undone, that of few cannot.
func TestUndoIsAskedBefore(t *testing.T) {
	u := new(fakeUndo)
	h := start(t, Options{Undo: u})
	for i := range 101 {
		h.engine.put(fmt.Sprintf("a%03d", i), "v", testStart+10*minute)
		if i < 100 {
			h.engine.put(fmt.Sprintf("b%03d", i), "v", testStart+10*minute)
		}
	}
	bulk := func(prefix string, dry bool) adminapi.BulkDeleteResult {
		t.Helper()
		body := map[string]any{"filter": map[string]any{"prefix": prefix}, "dry_run": dry}
		return as[adminapi.BulkDeleteResult](t, h.do("POST", "/v1/bulk-delete", body).want(t, 200))
	}
	if r := bulk("a", true); r.Undo != "" || r.Matched != 101 {
		t.Errorf("dry run: %+v", r)
	}
	if r := bulk("b", false); r.Undo != "" || r.Deleted != 100 {
		t.Errorf("few: %+v", r)
	}
	if r := bulk("a", false); r.Undo != "p1" || r.Deleted != 101 {
		t.Errorf("many: %+v", r)
	}
	flush := func(delay float64) adminapi.FlushResult {
		t.Helper()
		body := map[string]any{"confirm": adminapi.FlushConfirmation, "delay_seconds": delay}
		return as[adminapi.FlushResult](t, h.do("POST", "/v1/flush", body).want(t, 200))
	}
	if later, now := flush(60), flush(0); later.Undo != "" || now.Undo != "p1" {
		t.Errorf("flushes %+v, %+v", later, now)
	}
	want := []string{"bulk delete prefix=a by http", "done", "flush of 0 sessions by http", "done"}
	if !slices.Equal(u.asked, want) {
		t.Errorf("asked for %q, want %q", u.asked, want)
	}
	list := as[adminapi.UndoList](t, h.do("GET", "/v1/undo", nil).want(t, 200)).Points
	if len(list) != 2 || list[0].ID != "p3" || list[0].Problem == "" || list[1].Problem != "" || list[1].Sessions != 8 {
		t.Errorf("points %+v", list)
	}
}
