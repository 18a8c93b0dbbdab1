package admincli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"cairn/adminapi"
	"cairn/backup"
	"cairn/decode"
	"cairn/engine"
	"cairn/httpapi"
	"cairn/live"
	"cairn/session"
)

// rig is a server on a real store, and the commands to administer it.
type rig struct {
	t     testing.TB
	dir   string
	store *engine.Store
	front clients
	feed  *live.Feed
	env   map[string]string
	stdin string
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), env: map[string]string{}, feed: live.New(nil)}
	store, err := engine.Open(engine.Options{Dir: filepath.Join(r.dir, "store"), DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	r.store = store
	server, err := httpapi.New(httpapi.Options{
		Engine: store, Figures: []prometheus.Collector{store}, Memcached: &r.front, Live: r.feed, ScratchDir: filepath.Join(r.dir, "scratch"), Version: "1.2.3", MaxValueSize: 1 << 20,
		Auth:   httpapi.AuthOptions{Tokens: "ops admin admin-token-12345,dash read read-token-123456"},
		Limits: httpapi.Limits{Requests: -1},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		h.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	r.env[urlVariable], r.env[tokenVariable] = h.URL, "admin-token-12345"
	return r
}

// clients is a front end with connections by their ID.
type clients map[uint64]string

func (c *clients) EachStat(func(name, value string)) {}

func (c *clients) Connections() (list []httpapi.Connection) {
	for id, client := range *c {
		list = append(list, httpapi.Connection{ID: id, Client: client, Protocol: "meta"})
	}
	return list
}

func (c *clients) CloseConnection(id uint64) bool {
	_, open := (*c)[id]
	delete(*c, id)
	return open
}

// run carries out a command line and gives what it printed.
func (r *rig) run(args ...string) (stdout, stderr string, err error) {
	r.t.Helper()
	var out, errs bytes.Buffer
	root := &cobra.Command{Use: "cairn", SilenceErrors: true, SilenceUsage: true}
	root.AddGroup(Groups()...)
	root.AddCommand(Commands(Environment{
		Stdin: strings.NewReader(r.stdin), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return r.env[name] },
		Check: func(dir string, report func(CheckProblem)) error {
			return engine.Check(engine.Options{Dir: dir}, func(p engine.Problem) { report(CheckProblem(p)) })
		},
		Salvage: salvage,
	})...)
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errs)
	err = root.ExecuteContext(r.t.Context())
	return out.String(), errs.String(), err
}

// must is run for what should succeed; it gives the standard output.
func (r *rig) must(args ...string) string {
	r.t.Helper()
	out, errs, err := r.run(args...)
	if err != nil {
		r.t.Fatalf("cairn %v: %v\n%s%s", args, err, out, errs)
	}
	return out
}

// refuse is run for what should fail with an error that says so.
func (r *rig) refuse(says string, args ...string) {
	r.t.Helper()
	if out, _, err := r.run(args...); err == nil || !strings.Contains(err.Error(), says) {
		r.t.Errorf("cairn %v: %v, want %q; printed %s", args, err, says, out)
	}
}

// put stores a session that expires so many seconds from now; 0: never.
func (r *rig) put(key, value string, ttl int) { r.t.Helper(); r.putInto(r.store, key, value, ttl) }

func (r *rig) putInto(store *engine.Store, key, value string, ttl int) {
	r.t.Helper()
	var b session.Burst
	b.Reset(store.Now())
	expiry := session.Never
	if ttl > 0 {
		expiry = b.Now + session.Time(1000*ttl)
	}
	*b.Add() = session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Flags: 9, Expiry: expiry}
	session.Do(store, &b)
	if status := b.Results[0].Status; status != session.OK {
		r.t.Fatalf("put %q: status %d", key, status)
	}
}

func decodeJSON[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func (r *rig) keys() []string {
	var keys []string
	for _, s := range decodeJSON[[]adminapi.Session](r.t, r.must("ls", "--all", "-o", "json")) {
		keys = append(keys, s.Key)
	}
	return keys
}

func TestLs(t *testing.T) {
	r := newRig(t)
	if got := r.must("ls", "-o", "json"); strings.Join(strings.Fields(got), "") != "[]" {
		t.Errorf("an empty store lists %q", got)
	}
	for i := range 2500 {
		r.put(fmt.Sprintf("s%04d", i), "value", 3600)
	}
	r.put("t\n", "x", 0)
	r.put("\xff", "x", 90)
	if n := len(r.keys()); n != 2502 {
		t.Errorf("--all lists %d", n)
	}
	out, errs, err := r.run("ls", "--limit", "3")
	if err != nil || strings.Count(out, "\n") != 4 || !strings.Contains(errs, "more") || !strings.Contains(out, "s0002  5 B   59m") {
		t.Errorf("%v: %q %q", err, out, errs)
	}
	out, errs, err = r.run("ls", "--prefix", "t")
	if err != nil || !strings.Contains(out, `"t\n"`) || !strings.Contains(out, "never") || errs != "" {
		t.Errorf("%v: %q %q", err, out, errs)
	}
	if out := r.must("ls", "--base64", "--prefix", "_w=="); !strings.Contains(out, "base64:_w") || strings.Count(out, "\n") != 2 {
		t.Errorf("prefix in base64: %q", out)
	}
	if got := decodeJSON[[]adminapi.Session](t, r.must("ls", "--expires-within", "10m", "-o", "json")); len(got) != 1 {
		t.Errorf("expiring within 10 minutes: %+v", got)
	}
	if got := decodeJSON[[]adminapi.Session](t, r.must("ls", "--expires-after", "2h", "-o", "json")); len(got) != 1 || got[0].Key != "t\n" {
		t.Errorf("living longer than two hours: %+v", got)
	}
	if got := decodeJSON[[]adminapi.Session](t, r.must("ls", "--max-size", "1", "-o", "json")); len(got) != 2 {
		t.Errorf("of at most a byte: %+v", got)
	}
	if got := decodeJSON[[]adminapi.Session](t, r.must("ls", "--contains", "123", "-o", "json")); len(got) != 13 {
		t.Errorf("with 123 in the key: %d", len(got))
	}
	r.refuse("table or json", "ls", "-o", "xml")
}

func TestShowTouchAndRm(t *testing.T) {
	r := newRig(t)
	r.put("k", `a:1:{s:4:"user";s:5:"alice";}`, 600)
	r.put("other", "x", 600)
	for _, part := range []string{"php", `"user": "alice"`, "9m"} {
		if out := r.must("show", "k"); !strings.Contains(out, part) {
			t.Errorf("show has no %q in\n%s", part, out)
		}
	}
	if out := r.must("show", "k", "--raw"); out != `a:1:{s:4:"user";s:5:"alice";}` {
		t.Errorf("raw: %q", out)
	}
	got := decodeJSON[struct {
		Key     string
		Flags   int
		Decoded decode.View
	}](t, r.must("show", "k", "-o", "json"))
	if got.Key != "k" || got.Flags != 9 || got.Decoded.Format != decode.PHP {
		t.Errorf("JSON: %+v", got)
	}
	if out := r.must("show", "k", "--format", "hex"); !strings.Contains(out, "613a313a") {
		t.Errorf("as hex: %q", out)
	}
	r.refuse("not in this format", "show", "k", "--format", "java")
	r.refuse("no such session", "show", "missing")

	r.must("touch", "k", "--ttl", "2h")
	if out := r.must("show", "k", "--no-value"); !strings.Contains(out, "1h 59m") && !strings.Contains(out, "2h 0m") {
		t.Errorf("after touch: %s", out)
	}
	r.must("touch", "k", "--never")
	r.must("touch", "k", "other", "--at", "2100-01-01T00:00:00Z")
	if out := r.must("show", "k", "--no-value", "-o", "json"); !strings.Contains(out, "2100-01-01") {
		t.Errorf("after touch --at: %s", out)
	}
	r.refuse("longer than nothing", "touch", "k", "--ttl", "-5m")
	r.refuse("at least one", "touch", "k")

	out, errs, err := r.run("rm", "k", "missing")
	if err == nil || out != "deleted k\n" || !strings.Contains(errs, "missing: no such session") {
		t.Errorf("rm: %q %q %v", out, errs, err)
	}
	if keys := r.keys(); len(keys) != 1 || keys[0] != "other" {
		t.Errorf("left are %v", keys)
	}
}

func TestRmByFilter(t *testing.T) {
	r := newRig(t)
	for i := range 1000 {
		r.put(fmt.Sprintf("a%03d", i), "x", 600)
	}
	r.put("b", "x", 600)
	r.refuse("name keys or use filters", "rm")
	r.refuse("either keys or filters", "rm", "k", "--prefix", "a")
	r.refuse("say --yes to confirm: Delete 1,000 sessions", "rm", "--prefix", "a")
	if out := r.must("rm", "--prefix", "a", "--dry-run"); !strings.HasPrefix(out, "1,000 sessions match, 0 are deleted") {
		t.Errorf("dry run: %s", out)
	}
	if n := len(r.keys()); n != 1001 {
		t.Fatalf("%d are left after a dry run", n)
	}
	got := decodeJSON[adminapi.BulkDeleteResult](t, r.must("rm", "--prefix", "a", "--yes", "-o", "json"))
	if got.Deleted != 1000 || len(r.keys()) != 1 {
		t.Errorf("deleted %+v", got)
	}
	r.refuse("say --yes", "flush")
	if out := r.must("flush", "--yes"); !strings.HasPrefix(out, "1 sessions are deleted") || len(r.keys()) != 0 {
		t.Errorf("flush: %s", out)
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t)
	r.put("k", "secret value", 600)
	r.env[tokenVariable] = ""
	r.refuse("put it into CAIRN_TOKEN", "ls")
	r.env[tokenVariable] = "not-the-token-1234"
	r.refuse("does not know this token (from CAIRN_TOKEN)", "ls")
	file := filepath.Join(r.dir, "token")
	if err := os.WriteFile(file, []byte("read-token-123456\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.must("ls", "--token-file", file)
	r.env[tokenFileVariable] = file
	r.must("show", "k", "--no-value")
	r.refuse("needs the scope admin", "show", "k")
	r.refuse("needs the scope admin", "export")
	if out := r.must("export", "--no-values"); !strings.Contains(out, `"key":"k"`) || strings.Contains(out, "value_base64") {
		t.Errorf("export without values: %s", out)
	}
}

func TestNoServer(t *testing.T) {
	r := newRig(t)
	r.refuse("refused", "ls", "--url", "127.0.0.1:1")
	r.refuse("Cairn's HTTP API", "ls", "--url", httptest.NewServer(nil).URL)
}

func TestFigures(t *testing.T) {
	r := newRig(t)
	r.put("k", "value", 600)
	if out := r.must("stats", "--memcached"); !strings.Contains(out, "Sessions") || !strings.Contains(out, "Bucket until") {
		t.Errorf("stats: %s", out)
	}
	if s := decodeJSON[adminapi.Stats](t, r.must("stats", "-o", "json")); s.Sessions.Items != 1 || s.Commits.Commits == 0 {
		t.Errorf("stats: %+v", s.Sessions)
	}
	if out := r.must("forecast"); !strings.Contains(out, "total") || strings.Count(out, "\n") != 4 {
		t.Errorf("forecast: %s", out)
	}
	out := r.must("top", "-i", "100ms", "-n", "2")
	if lines := strings.Count(out, "\n"); lines != 3 || !strings.Contains(out, "requests/s") {
		t.Errorf("top: %s", out)
	}
	a := decodeJSON[activity](t, r.must("top", "-i", "100ms", "-n", "1", "-o", "json"))
	if a.Sessions != 1 || a.Seconds <= 0 {
		t.Errorf("top: %+v", a)
	}
	r.refuse("fixed", "log-level", "debug")
	if out := r.must("log-level"); out != "info\n" {
		t.Errorf("log level: %q", out)
	}
}

func TestActivity(t *testing.T) {
	buckets := func(n ...uint64) []adminapi.LatencyBucket {
		return []adminapi.LatencyBucket{{LE: 0.001, Count: n[0]}, {LE: 0.01, Count: n[1]}, {LE: 0.1, Count: n[2]}}
	}
	before := &adminapi.Stats{
		Uptime:    10,
		Latencies: []adminapi.LatencyStats{{Verb: "get", Count: 100, Buckets: buckets(0, 0, 100)}},
		Memcached: map[string]string{"get_hits": "10", "get_misses": "0"},
	}
	now := &adminapi.Stats{
		Uptime:    12,
		Latencies: []adminapi.LatencyStats{{Verb: "get", Count: 300, Buckets: buckets(196, 199, 300)}, {Verb: "set"}},
		Memcached: map[string]string{"get_hits": "40", "get_misses": "10"},
	}
	a := newActivity(before, now)
	if a.Requests != 100 || *a.HitRatio != 0.75 || a.CacheRatio != nil || len(a.Verbs) != 1 {
		t.Errorf("%+v", a)
	}
	if v := a.Verbs[0]; v.P50 <= 0 || v.P50 > 0.001 || v.P99 <= 0.001 || v.P99 > 0.01 || v.P999 <= 0.01 || v.P999 > 0.1 {
		t.Errorf("%+v", v)
	}
}

func TestBackupRestoreCheck(t *testing.T) {
	r := newRig(t)
	for i := range 500 {
		r.put(fmt.Sprintf("s%03d", i), strings.Repeat("value", i), 3600)
	}
	file := filepath.Join(r.dir, "b.tar.zst")
	if out := r.must("backup", file); !strings.Contains(out, "files of") {
		t.Errorf("backup: %s", out)
	}
	r.refuse("already exists", "backup", file)
	restored := filepath.Join(r.dir, "restored")
	got := decodeJSON[struct {
		Files    int
		Problems []string
	}](t, r.must("restore", file, "--data-dir", restored, "-o", "json"))
	if got.Files == 0 || got.Problems == nil || len(got.Problems) != 0 {
		t.Errorf("restore: %+v", got)
	}
	r.refuse("not empty", "restore", file, "--data-dir", restored)
	if out := r.must("check", "--data-dir", restored); !strings.Contains(out, "no problems") {
		t.Errorf("check: %s", out)
	}

	store, err := engine.Open(engine.Options{Dir: restored, DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := store.Scan(t.Context(), nil, nil, func(it *session.Item) bool {
		if want := fmt.Sprintf("s%03d", n); string(it.Key) != want || len(it.Value) != 5*n {
			t.Errorf("session %d is %q with %d bytes", n, it.Key, len(it.Value))
		}
		n++
		return true
	}); err != nil || n != 500 {
		t.Errorf("%d sessions, %v", n, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(r.dir, "elsewhere")
	r.refuse("cut short", "restore", file, "--data-dir", elsewhere)
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Errorf("a bad backup left something: %v", err)
	}
	r.damage(restored)
	r.env[dataDirVariable] = restored
	out, _, err := r.run("check")
	if err == nil || !strings.Contains(err.Error(), "problems") || out == "" {
		t.Errorf("check of a damaged store: %v %s", err, out)
	}
}

// TestRestoreOfADamagedStore packs a damaged store into an archive whose
// checksums are right: nothing of it may stay.
func TestRestoreOfADamagedStore(t *testing.T) {
	r := newRig(t)
	r.refuse("--data-dir", "restore", "b.tar.zst")
	for i := range 500 {
		r.put(fmt.Sprintf("s%03d", i), strings.Repeat("value", i), 3600)
	}
	checkpoint := filepath.Join(r.dir, "checkpoint")
	if err := r.store.Checkpoint(checkpoint); err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Glob(filepath.Join(checkpoint, "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	if err := os.WriteFile(manifests[0], []byte("no manifest"), 0o600); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := backup.Write(&archive, checkpoint, backup.Info{}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(r.dir, "restored")
	r.env[dataDirVariable], r.stdin = dir, archive.String()
	r.refuse("nothing was restored", "restore", "-")
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a bad store left something: %v", err)
	}
}

// damage flips a bit in the middle of a table or log.
func (r *rig) damage(dir string) {
	r.t.Helper()
	var victim string
	var data []byte
	for _, pattern := range []string{"*.sst", "*.log"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, f := range files {
			if content := r.content(f); len(content) > len(data) {
				victim, data = f, content
			}
		}
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(victim, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// content is what a table or log holds, without the zeros that a log ends in.
func (r *rig) content(file string) []byte {
	r.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return bytes.TrimRight(data, "\x00")
}

func TestExportImport(t *testing.T) {
	from, to := newRig(t), newRig(t)
	for i := range 500 {
		from.put(fmt.Sprintf("s%03d", i), strings.Repeat("\x00\xff", i), 3600)
	}
	from.put("\xff never", "", 0)
	file := filepath.Join(from.dir, "e.ndjson")
	if out := from.must("export", file); !strings.Contains(out, "501 sessions") {
		t.Errorf("export: %s", out)
	}
	if out := to.must("import", file); !strings.Contains(out, "stored  501") {
		t.Errorf("import: %s", out)
	}
	if out := to.must("import", "--keep", file); !strings.Contains(out, "kept as they were  501") {
		t.Errorf("import --keep: %s", out)
	}
	if a, b := from.must("export"), to.must("export"); stripVersions(a) != stripVersions(b) {
		t.Error("the exports of both stores differ")
	}
	to.stdin = `{"key":"piped","value":"v","ttl_seconds":60}` + "\n"
	if out := to.must("import"); !strings.Contains(out, "stored  1") {
		t.Errorf("import of standard input: %s", out)
	}
	to.stdin = "nonsense"
	to.refuse("line 1", "import")
	if out := from.must("export", "--prefix", "s00"); strings.Count(out, "\n") != 10 {
		t.Errorf("export with a prefix: %d lines", strings.Count(out, "\n"))
	}
}

// stripVersions removes what differs between two stores with equal sessions.
func stripVersions(export string) string {
	var out strings.Builder
	for line := range strings.Lines(export) {
		var s map[string]any
		_ = json.Unmarshal([]byte(line), &s)
		for _, name := range []string{"version", "fetched", "last_access"} {
			delete(s, name)
		}
		data, _ := json.Marshal(s)
		out.Write(append(data, '\n'))
	}
	return out.String()
}

func TestConnections(t *testing.T) {
	r := newRig(t)
	r.front = clients{3: "192.0.2.3:1003", 5: "192.0.2.5:1005", 8: "192.0.2.8:1008", 9: "192.0.2.9:1009"}
	if out := r.must("connections"); !strings.Contains(out, "CLIENT") || !strings.Contains(out, "192.0.2.5:1005") {
		t.Errorf("connections: %s", out)
	}
	if out := r.must("__complete", "connections", "close", ""); !strings.HasPrefix(out, "3\t192.0.2.3:1003\n") {
		t.Errorf("connections are completed as %q", out)
	}
	if out := r.must("connections", "close", "3", "5"); out != "closed 3\nclosed 5\n" {
		t.Errorf("close: %q", out)
	}
	if outcomes := decodeJSON[[]outcome](t, r.must("connections", "close", "8", "-o", "json")); len(outcomes) != 1 || outcomes[0] != (outcome{ID: "8", Done: true}) {
		t.Errorf("close: %+v", outcomes)
	}
	r.refuse("1 of 2 connections could not be closed", "connections", "close", "7", "9")
	if len(r.front) != 0 {
		t.Errorf("open are %v", r.front)
	}
}

func TestManAndCompletion(t *testing.T) {
	r := newRig(t)
	r.put("memc.sess.key.abc", "x", 600)
	dir := filepath.Join(r.dir, "man")
	r.must("man", dir)
	page, err := os.ReadFile(filepath.Join(dir, "cairn-restore.1"))
	if err != nil || !strings.Contains(string(page), "--data-dir") {
		t.Errorf("man page: %v %s", err, page)
	}
	if out := r.must("completion", "bash"); !strings.Contains(out, "__start_cairn") {
		t.Error("no completion for bash")
	}
	if out := r.must("__complete", "show", "memc"); !strings.Contains(out, "memc.sess.key.abc") {
		t.Errorf("keys are completed as %q", out)
	}
	if out := r.must("__complete", "show", "--format", ""); !strings.Contains(out, "php_session\n") || !strings.Contains(out, "\nhex\n:") {
		t.Errorf("formats are completed as %q", out)
	}
}

func TestAFailedExportLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := saveTo(filepath.Join(dir, "f"), nil, func(w io.Writer) (int, error) {
		io.WriteString(w, "half")
		return 0, io.ErrUnexpectedEOF
	})
	if left, _ := os.ReadDir(dir); err == nil || len(left) != 0 {
		t.Errorf("%v, left are %v", err, left)
	}
}

// salvage is what cmd/cairn lets the command of that name do.
func salvage(ctx context.Context, job *SalvageJob) (SalvageResult, error) {
	got, err := engine.Salvage(ctx, engine.SalvageOptions{
		From: engine.Options{Dir: job.From}, To: job.To, Scratch: job.Scratch, Uncertain: job.Uncertain,
		Problem: job.Problem, Lost: job.Lost,
	})
	return SalvageResult(got), err
}
