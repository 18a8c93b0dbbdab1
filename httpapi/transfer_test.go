package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/backup"
	"cairn/session"
)

// TestExportImport moves sessions of any kind from one server to another.
func TestExportImport(t *testing.T) {
	from, to := start(t, Options{}), start(t, Options{})
	random := rand.New(rand.NewPCG(1, 2))
	for i, key := range awkwardKeys {
		value := make([]byte, random.IntN(50_000))
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		from.engine.put(key, string(value), testStart+session.Time(1000*(i+1))+123)
	}
	from.engine.put("never", "", session.Never)
	from.do("PUT", "/v1/sessions/flags", map[string]any{"value": "x", "flags": uint32(1<<32 - 1), "ttl_seconds": 60}).want(t, 200)

	stream := from.do("GET", "/v1/export?values=true", nil).want(t, 200)
	result := as[adminapi.ImportResult](t, to.do("POST", "/v1/import", string(stream.body)).want(t, 200))
	if n := int64(len(awkwardKeys) + 2); result.Lines != n || result.Stored != n {
		t.Errorf("imported %+v, want %d", result, n)
	}
	before, after := from.engine.Items(testStart), to.engine.Items(testStart)
	for i := range before {
		a, b := before[i], after[i]
		if !bytes.Equal(a.Key, b.Key) || !bytes.Equal(a.Value, b.Value) || a.Flags != b.Flags || a.Expiry != b.Expiry {
			t.Errorf("%q: came as %q, flags %d and %d, expiry %v and %v", a.Key, b.Key, a.Flags, b.Flags, a.Expiry, b.Expiry)
		}
	}
	again := as[adminapi.ImportResult](t, to.do("POST", "/v1/import?keep=true", string(stream.body)).want(t, 200))
	if again.Kept != again.Lines || again.Stored != 0 {
		t.Errorf("import with keep: %+v", again)
	}
	to.engine.clock.Add(int64(minute))
	late := as[adminapi.ImportResult](t, to.do("POST", "/v1/import", string(stream.body)).want(t, 200))
	if late.Stored != 1 || late.Expired != late.Lines-1 {
		t.Errorf("import a minute later: %+v", late)
	}
}

func TestImportStopsAtABadLine(t *testing.T) {
	h := start(t, Options{MaxValueSize: 1000})
	good := func(key string) string {
		return fmt.Sprintf(`{"key":%q,"value":"v","ttl_seconds":60}`, key) + "\n"
	}
	for _, c := range []struct{ name, bad, says string }{
		{"not JSON", "what", "line 2"},
		{"no key", `{"value":"v","ttl_seconds":60}`, "key must have"},
		{"no value", `{"key":"k","ttl_seconds":60}`, "value"},
		{"no expiry", `{"key":"k","value":"v"}`, "ttl_seconds"},
		{"bad base64", `{"key_base64":"!","value":"v","ttl_seconds":60}`, "base64"},
	} {
		before := c.name + " before"
		r := h.do("POST", "/v1/import", good(before)+c.bad+"\n"+good(c.name+" after"))
		if r.StatusCode != 422 || !strings.Contains(string(r.body), c.says) || !strings.Contains(string(r.body), "1 sessions before it are stored") {
			t.Errorf("%s: %d %s", c.name, r.StatusCode, r.body)
		}
		if keys := keysOf(t, h, "limit=100"); !slices.Contains(keys, before) || slices.Contains(keys, c.name+" after") {
			t.Errorf("%s: stored are %v", c.name, keys)
		}
	}
}

// TestImportSkipsWhatIsTooLarge goes on behind values that the server does not
// take, and names them.
func TestImportSkipsWhatIsTooLarge(t *testing.T) {
	h := start(t, Options{MaxValueSize: 1000})
	line := func(key string, bytes int) string {
		return fmt.Sprintf(`{"key":%q,"value":%q,"ttl_seconds":60}`, key, strings.Repeat("x", bytes)) + "\n"
	}
	body := line("a", 1000) + line("b", 1001) + strings.Repeat("x", 200_000) + "\n" + line("c", 9<<20) + line("d", 1) + strings.TrimSpace(line("e", 70_000))
	result := as[adminapi.ImportResult](t, h.do("POST", "/v1/import", body).want(t, 200))
	if result.Lines != 6 || result.Stored != 2 || result.TooLarge != 4 || len(result.Skipped) != 4 {
		t.Fatalf("%+v", result)
	}
	for i, want := range []struct {
		line int64
		key  string
	}{{2, "b"}, {3, ""}, {4, ""}, {6, ""}} {
		if got := result.Skipped[i]; got.Line != want.line || got.Key != want.key || got.Reason == "" {
			t.Errorf("skipped %+v, want %+v", got, want)
		}
	}
	if keys := keysOf(t, h, "limit=100"); !slices.Equal(keys, []string{"a", "d"}) {
		t.Errorf("stored are %v", keys)
	}
	many := as[adminapi.ImportResult](t, h.do("POST", "/v1/import", strings.Repeat(line("b", 1001), 150)).want(t, 200))
	if many.TooLarge != 150 || len(many.Skipped) != 100 {
		t.Errorf("%d skipped, %d named", many.TooLarge, len(many.Skipped))
	}
}

// wideEngine has more sessions than memory should hold.
type wideEngine struct {
	*modelEngine
	sessions int
}

func (e wideEngine) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	first := 0
	if after != nil {
		fmt.Sscanf(string(after), "k%d", &first)
		first++
	}
	value := make([]byte, 1000)
	for i := first; i < e.sessions; i++ {
		it := session.Item{Key: fmt.Appendf(nil, "k%09d", i), Value: value, Version: 1, Expiry: session.Never}
		if !fn(&it) {
			return nil
		}
	}
	return nil
}

// TestExportNeedsLittleMemory exports 40 MB and watches the heap.
func TestExportNeedsLittleMemory(t *testing.T) {
	const n = 30_000
	h := start(t, Options{Engine: wideEngine{newModelEngine(), n}})
	resp, err := http.Get(h.http.URL + "/v1/export?values=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base, peak, lines := m.HeapAlloc, uint64(0), 0
	scanner := bufio.NewScanner(resp.Body)
	for scanner.Scan() {
		if lines++; lines%(n/10) == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	if lines != n || scanner.Err() != nil {
		t.Errorf("%d lines, %v", lines, scanner.Err())
	}
	if peak > base+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", base, peak)
	}
}

// failingEngine ends every scan with an error after a few sessions.
type failingEngine struct{ wideEngine }

func (e failingEngine) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	n := 0
	_ = e.wideEngine.Scan(ctx, prefix, after, func(it *session.Item) bool {
		n++
		return n < 1000 && fn(it)
	})
	return session.ErrCorrupt
}

func TestACutExportIsNoticed(t *testing.T) {
	h := start(t, Options{Engine: failingEngine{wideEngine{newModelEngine(), 5000}}})
	resp, err := http.Get(h.http.URL + "/v1/export?values=true")
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the client sees a whole export")
	}
}

func TestStreamsAreLimited(t *testing.T) {
	h := start(t, Options{Limits: Limits{Streams: 1}})
	body, writer := io.Pipe()
	done := make(chan int)
	go func() {
		resp, err := http.Post(h.http.URL+"/v1/import", ndjson, body)
		if err != nil {
			done <- 0
			return
		}
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	io.WriteString(writer, `{"key":"k","value":"v","ttl_seconds":60}`+"\n") // the import has begun
	for len(h.server.streams) == 0 {
		runtime.Gosched()
	}
	h.do("GET", "/v1/export", nil).want(t, http.StatusTooManyRequests)
	writer.Close()
	if status := <-done; status != 200 {
		t.Errorf("the import gave %d", status)
	}
	h.do("GET", "/v1/export", nil).want(t, 200)
}

func TestBackup(t *testing.T) {
	h := start(t, Options{Version: "1.2.3"})
	h.engine.put("one", "1", session.Never)
	h.engine.put("two", "22", session.Never)
	r := h.do("GET", "/v1/backup", nil).want(t, 200)
	dir := t.TempDir() + "/store"
	info, err := backup.Restore(bytes.NewReader(r.body), dir, nil)
	if err != nil || info.Version != "1.2.3" || info.Files != 2 {
		t.Fatalf("%+v, %v", info, err)
	}
	if two, err := os.ReadFile(dir + "/two"); err != nil || string(two) != "22" {
		t.Errorf("two is %q, %v", two, err)
	}
	if left, _ := os.ReadDir(h.server.options.ScratchDir); len(left) != 0 {
		t.Errorf("the scratch directory has %v", left)
	}
}

// brokenEngine cannot make checkpoints.
type brokenEngine struct{ *modelEngine }

func (brokenEngine) Checkpoint(string) error { return session.ErrNoSpace }

func TestBackupFailure(t *testing.T) {
	h := start(t, Options{Engine: brokenEngine{newModelEngine()}})
	for range 2 { // the second shows that the first let go of the only place
		h.do("GET", "/v1/backup", nil).want(t, http.StatusServiceUnavailable)
	}
}

func TestOldCheckpointsAreRemoved(t *testing.T) {
	scratch := t.TempDir()
	if err := os.Mkdir(scratch+"/backup-left", 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, Options{ScratchDir: scratch})
	if left, _ := os.ReadDir(scratch); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

func TestBackupTickets(t *testing.T) {
	h := withTokens(t)
	admin := []string{"Authorization", "Bearer " + adminToken}
	ticket := as[adminapi.BackupTicket](t, h.do("POST", "/v1/backup/tickets", nil, admin...).want(t, 201))
	h.do("POST", "/v1/backup/tickets", nil, "Authorization", "Bearer "+readToken).want(t, 403)
	other := strings.Replace(ticket.Path, "/v1/backup", "/v1/export", 1)
	h.do("GET", other, nil).want(t, 401)
	h.do("GET", ticket.Path, nil).want(t, 200)
	h.do("GET", ticket.Path, nil).want(t, 401) // used

	var book ticketBook
	now := time.Now()
	id, _, _ := book.issue("a", now)
	if _, ok := book.use(id, now.Add(ticketLife)); ok {
		t.Error("an old ticket is good")
	}
	for range maxTickets {
		book.issue("a", now)
	}
	if _, _, ok := book.issue("a", now); ok {
		t.Error("more tickets than allowed")
	}
	if _, _, ok := book.issue("a", now.Add(ticketLife)); !ok {
		t.Error("old tickets take the place of new ones")
	}
}

// TestDeadlinesOfBodiesAreLifted: a deadline for reading a body must not cut
// the operation that follows.
func TestDeadlinesOfBodiesAreLifted(t *testing.T) {
	server, err := New(Options{Engine: newModelEngine()})
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/v1/bulk-delete": `{"dry_run":true,"filter":{"prefix":"a"}}`,
		"/v1/import":      `{"key":"k","value":"v","ttl_seconds":60}`,
	} {
		req, _ := http.NewRequest("POST", path, strings.NewReader(body))
		req.RemoteAddr, req.Host = "127.0.0.1:1", "localhost"
		w := &deadlineRecorder{header: http.Header{}}
		server.Handler().ServeHTTP(w, req)
		if n := len(w.deadlines); w.status != 200 || n < 2 || !w.deadlines[n-1].IsZero() || w.deadlines[0].IsZero() {
			t.Errorf("%s: status %d, deadlines %v", path, w.status, w.deadlines)
		}
	}
}

// TestEveryResponseHasTimeToBeWritten: on a connection that is kept alive, the
// deadline of the response before must not cut one without a body.
func TestEveryResponseHasTimeToBeWritten(t *testing.T) {
	e := newModelEngine()
	e.put("k", "v", testStart+minute)
	server, err := New(Options{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{{"DELETE", "/v1/sessions/k", 204}, {"DELETE", "/v1/sessions/k", 404}, {"GET", "/livez", 200}, {"GET", "/none", 404}} {
		req, _ := http.NewRequest(c.method, c.path, nil)
		req.RemoteAddr, req.Host, req.Body = "127.0.0.1:1", "localhost", http.NoBody
		w := &deadlineRecorder{header: http.Header{}}
		server.Handler().ServeHTTP(w, req)
		if w.status != c.status || !w.writeDeadline.After(time.Now()) {
			t.Errorf("%s %s: status %d, deadline %v", c.method, c.path, w.status, w.writeDeadline)
		}
	}
}

// deadlineRecorder is a response that notes the deadlines for reading, and the
// last one for writing.
type deadlineRecorder struct {
	header        http.Header
	status        int
	deadlines     []time.Time
	writeDeadline time.Time
}

func (w *deadlineRecorder) SetWriteDeadline(t time.Time) error {
	w.writeDeadline = t
	return nil
}

func (w *deadlineRecorder) Header() http.Header         { return w.header }
func (w *deadlineRecorder) WriteHeader(status int)      { w.status = status }
func (w *deadlineRecorder) Write(p []byte) (int, error) { return len(p), nil }
func (w *deadlineRecorder) SetReadDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

func TestForecast(t *testing.T) {
	h := start(t, Options{})
	for i := range 180 {
		h.engine.put(fmt.Sprintf("k%03d", i), "value", testStart+session.Time(i)*minute)
	}
	h.engine.put("never", "value", session.Never)
	get := func(slots int) adminapi.Forecast {
		return as[adminapi.Forecast](t, h.do("GET", fmt.Sprintf("/v1/forecast?slots=%d", slots), nil).want(t, 200))
	}
	for _, slots := range []int{1, 2, 60, 200} {
		f := get(slots)
		var sum, bytes int64
		for i, s := range f.Slots {
			sum, bytes = sum+s.Sessions, bytes+s.Bytes
			if s.From.Unix()%f.WidthSeconds != 0 || i > 0 && !s.From.After(f.Slots[i-1].From) {
				t.Errorf("slot %d of %d begins at %v", i, slots, s.From)
			}
		}
		if len(f.Slots) > slots || sum != 179 || f.Never.Sessions != 1 || f.Total.Sessions != 180 || bytes != 179*9 {
			t.Errorf("%d slots: %d of width %d, sum %d, %d bytes, %+v", slots, len(f.Slots), f.WidthSeconds, sum, bytes, f.Total)
		}
	}
	if f := get(200); f.WidthSeconds != 60 {
		t.Errorf("width %d", f.WidthSeconds)
	}
	near := as[adminapi.Forecast](t, h.do("GET", "/v1/forecast?within_seconds=600", nil).want(t, 200))
	if n := len(near.Slots); n != 9 || near.Later.Sessions != 170 || near.Total.Sessions != 180 || near.Median != 91*60 {
		t.Errorf("within 10 min: %d slots, %d later of %d, median %v", n, near.Later.Sessions, near.Total.Sessions, near.Median)
	}
	h.engine.put("far", "value", session.Never-1)
	if f := get(5); len(f.Slots) > 5 {
		t.Errorf("%d slots with one in the far future", len(f.Slots))
	}
}

func TestSettingsHideSecrets(t *testing.T) {
	h := start(t, Options{Settings: func() []adminapi.Setting {
		return []adminapi.Setting{{Name: "http-token", Value: "secret"}, {Name: "http-token-file", Value: "/etc/tokens", Default: "", Source: "flag", Meaning: "a file"}}
	}})
	list, err := (&adminapi.Client{Base: h.http.URL}).Settings(t.Context())
	if err != nil || len(list.Settings) != 2 || list.Settings[0].Value != "(hidden)" || list.Settings[1].Value != "/etc/tokens" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestConfigHidesSecrets(t *testing.T) {
	h := start(t, Options{Config: func() map[string]string {
		return map[string]string{"http-tokens": "a admin secret", "http-token-file": "/etc/t", "port": "1", "password": ""}
	}})
	got := as[map[string]string](t, h.do("GET", "/v1/config", nil).want(t, 200))
	want := map[string]string{"http-tokens": "(hidden)", "http-token-file": "/etc/t", "port": "1", "password": ""}
	if a, b := fmt.Sprint(got), fmt.Sprint(want); a != b {
		t.Errorf("%s, want %s", a, b)
	}
}

func TestReadiness(t *testing.T) {
	h := start(t, Options{})
	for _, c := range []struct {
		stats  session.Stats
		status int
		reason string
	}{
		{session.Stats{}, 200, "[]"},
		{session.Stats{Stalled: true}, 503, "[stalled]"},
		{session.Stats{OutOfSpace: true}, 503, "[out_of_space]"},
		{session.Stats{Stalled: true, OutOfSpace: true}, 503, "[stalled out_of_space]"},
		{session.Stats{OutOfSpace: true, ReadOnly: true}, 503, "[out_of_space read_only]"},
	} {
		h.engine.stats.Store(&c.stats)
		got := as[adminapi.Readiness](t, h.do("GET", "/readyz", nil).want(t, c.status))
		if got.Ready != (c.status == 200) || fmt.Sprint(got.Reasons) != c.reason {
			t.Errorf("%+v: %+v", c.stats, got)
		}
	}
	h.engine.stats.Store(&session.Stats{})
	h.server.BeginDrain()
	if got := as[adminapi.Readiness](t, h.do("GET", "/readyz", nil).want(t, 503)); fmt.Sprint(got.Reasons) != "[draining]" {
		t.Errorf("draining: %+v", got)
	}
	h.do("GET", "/v1/sessions", nil).want(t, 200)
	if data, _ := json.Marshal(as[adminapi.ServerInfo](t, h.do("GET", "/v1/server", nil))); !strings.Contains(string(data), "draining") {
		t.Errorf("server says %s", data)
	}
}
