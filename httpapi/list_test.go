package httpapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cairn/adminapi"
	"cairn/session"
)

// keysOf lists all keys that a query chooses, page by page.
func keysOf(t *testing.T, h *harness, query string) []string {
	t.Helper()
	var keys []string
	cursor := ""
	for range 1000 {
		page := as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions?"+query+"&cursor="+cursor, nil).want(t, 200))
		for _, s := range page.Sessions {
			keys = append(keys, exact(t, s))
		}
		if page.NextCursor == "" {
			return keys
		}
		cursor = page.NextCursor
	}
	t.Fatal("the listing does not end")
	return nil
}

func TestListPagesAreComplete(t *testing.T) {
	h := start(t, Options{Limits: Limits{Requests: -1}})
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("s%02d", i)
		h.engine.put(key, "v", testStart+minute)
		want = append(want, key)
	}
	for _, limit := range []int{1, 7, 24, 25, 26} {
		if got := keysOf(t, h, fmt.Sprintf("limit=%d", limit)); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
}

func TestListFilters(t *testing.T) {
	h := start(t, Options{})
	h.engine.put("a:short", "1", testStart+minute)
	h.engine.put("a:long", "1234567890", testStart+2*minute)
	h.engine.put("b:never", "12345", session.Never)
	h.engine.put("b:gone", "12345", testStart+1)
	h.engine.put("\xff\x01", "12345", testStart+3*minute)
	h.engine.clock.Add(1000)
	at := func(t session.Time) string { return url.QueryEscape(t.Time().Format("2006-01-02T15:04:05Z07:00")) }
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"", []string{"a:long", "a:short", "b:never", "\xff\x01"}},
		{"prefix=a:", []string{"a:long", "a:short"}},
		{"prefix=a:l", []string{"a:long"}},
		{"prefix=%FF", []string{"\xff\x01"}},
		{"prefix=_w&key_encoding=base64url", []string{"\xff\x01"}},
		{"prefix=c", nil},
		{"contains=ne", []string{"b:never"}},
		{"contains=o&prefix=a:s", []string{"a:short"}},
		{"contains=%FF", []string{"\xff\x01"}},
		{"min_size=5", []string{"a:long", "b:never", "\xff\x01"}},
		{"max_size=5", []string{"a:short", "b:never", "\xff\x01"}},
		{"min_size=5&max_size=5", []string{"b:never", "\xff\x01"}},
		{"max_size=0", nil},
		{"expires_before=" + at(testStart+2*minute), []string{"a:short"}},
		{"expires_after=" + at(testStart+2*minute), []string{"b:never", "\xff\x01"}},
		{"expires_after=9999-12-31T00:00:00Z", []string{"b:never"}},
	} {
		if got := keysOf(t, h, c.query+"&limit=1"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
	}
}

// TestListIsBounded has a filter that matches nothing among more sessions than
// one page looks at.
func TestListIsBounded(t *testing.T) {
	h := start(t, Options{Engine: wideEngine{newModelEngine(), maxExamined + 10}})
	page := as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions?min_size=5000", nil).want(t, 200))
	if page.Examined != maxExamined || len(page.Sessions) != 0 || page.NextCursor == "" {
		t.Errorf("first page has %d sessions after %d", len(page.Sessions), page.Examined)
	}
	page = as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions?min_size=5000&cursor="+page.NextCursor, nil).want(t, 200))
	if page.Examined != 10 || len(page.Sessions) != 0 || page.NextCursor != "" {
		t.Errorf("second page: %+v", page)
	}
}

func TestBulkDelete(t *testing.T) {
	h := start(t, Options{})
	const n = 3*bulkBatch + 5
	for i := range n {
		h.engine.put(fmt.Sprintf("doomed:%05d", i), "value", testStart+minute)
		h.engine.put(fmt.Sprintf("kept:%05d", i), "value", testStart+minute)
	}
	body := map[string]any{"filter": map[string]any{"prefix": "doomed:"}, "dry_run": true}
	want := adminapi.BulkDeleteResult{DryRun: true, Examined: n, Matched: n, Bytes: n * int64(len("doomed:00000value"))}
	if got := as[adminapi.BulkDeleteResult](t, h.do("POST", "/v1/bulk-delete", body).want(t, 200)); got != want {
		t.Errorf("dry run: %+v, want %+v", got, want)
	}
	if items := h.engine.Stats().Items; items != 2*n {
		t.Fatalf("the dry run left %d sessions", items)
	}
	body["dry_run"] = false
	want.DryRun, want.Deleted = false, n
	if got := as[adminapi.BulkDeleteResult](t, h.do("POST", "/v1/bulk-delete", body).want(t, 200)); got != want {
		t.Errorf("delete: %+v, want %+v", got, want)
	}
	if got := keysOf(t, h, "prefix=doomed:&limit=1000"); len(got) != 0 {
		t.Errorf("%d are left", len(got))
	}
	if got := keysOf(t, h, "prefix=kept:&limit=1000"); len(got) != n {
		t.Errorf("%d of %d others are left", len(got), n)
	}
}

// changingEngine rewrites a session whenever a scan has passed it.
type changingEngine struct{ *modelEngine }

func (e changingEngine) Apply(b *session.Burst, to session.Completer) {
	if len(b.Commands) > 0 && b.Commands[0].Op == session.OpDelete {
		e.put("b", "rewritten", session.Never)
	}
	e.modelEngine.Apply(b, to)
}

func TestBulkDeleteSparesWhatChanged(t *testing.T) {
	model := newModelEngine()
	h := start(t, Options{Engine: changingEngine{model}})
	for _, key := range []string{"a", "b", "c"} {
		model.put(key, "v", testStart+minute)
	}
	body := map[string]any{"filter": map[string]any{"max_size": 1}, "dry_run": false}
	got := as[adminapi.BulkDeleteResult](t, h.do("POST", "/v1/bulk-delete", body).want(t, 200))
	if got.Matched != 3 || got.Deleted != 2 {
		t.Errorf("%+v", got)
	}
	if keys := keysOf(t, h, ""); !slices.Equal(keys, []string{"b"}) {
		t.Errorf("left are %v", keys)
	}
}

func TestCursorsOfOthersAreRefused(t *testing.T) {
	for _, cursor := range []string{"x", "AA", "AQ", "Ag==", strings.Repeat("A", 500)} {
		if after, err := decodeCursor(cursor); err == nil {
			t.Errorf("%q gave %q", cursor, after)
		}
	}
}

// Lists say how values are written if they are asked to, within bounds.
func TestKinds(t *testing.T) {
	h := start(t, Options{})
	for key, value := range map[string]string{
		"a-json": `{"user":1}`, "b-php": `user|a:1:{s:2:"id";i:42;}`, "c-text": "some words", "d-binary": "\x00\x01\xfe\xff", "e-large": strings.Repeat("x", 65<<10),
	} {
		h.engine.put(key, value, testStart+60*minute)
	}
	want := []string{"json", "php_session", "text", "binary", ""}
	for i, s := range as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions?kinds=true", nil).want(t, 200)).Sessions {
		if s.Kind != want[i] {
			t.Errorf("%s is %q, want %q", s.Key, s.Kind, want[i])
		}
	}
	for _, s := range as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions", nil).want(t, 200)).Sessions {
		if s.Kind != "" {
			t.Errorf("%s is %q without being asked for", s.Key, s.Kind)
		}
	}
}
