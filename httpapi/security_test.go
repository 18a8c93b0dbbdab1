package httpapi

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/bubble"
	"cairn/origin"
	"cairn/session"
)

const (
	metricsToken = "metrics-secret-123"
	readToken    = "read-secret-123456"
	adminToken   = "admin-secret-12345"
)

func withTokens(t *testing.T) *harness {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	sum := sha256.Sum256([]byte(adminToken))
	content := "# people\n\nprom metrics " + metricsToken + "\nops admin sha256:" + hex.EncodeToString(sum[:]) + "\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, Options{
		Auth:   AuthOptions{TokenFile: file, Tokens: "dash read " + readToken},
		Limits: Limits{Requests: -1},
	})
	h.engine.put("k", "top secret value", testStart+minute)
	return h
}

func TestScopes(t *testing.T) {
	h := withTokens(t)
	for _, c := range []struct {
		path                       string
		none, metrics, read, admin int
	}{
		{"/livez", 200, 200, 200, 200},
		{"/readyz", 200, 200, 200, 200},
		{"/openapi.json", 200, 200, 200, 200},
		{"/metrics", 401, 200, 200, 200},
		{"/v1/stats", 401, 200, 200, 200},
		{"/v1/sessions", 401, 403, 200, 200},
		{"/v1/sessions/k", 401, 403, 200, 200},
		{"/v1/sessions/k?value=base64", 401, 403, 403, 200},
		{"/v1/sessions/k/value", 401, 403, 403, 200},
		{"/v1/sessions/k/decoded", 401, 403, 403, 200},
		{"/v1/export", 401, 403, 200, 200},
		{"/v1/export?values=true", 401, 403, 403, 200},
		{"/v1/backup", 401, 403, 403, 200},
		{"/debug/pprof/", 401, 403, 403, 200},
		{"/debug/pprof/goroutine?debug=1", 401, 403, 403, 200},
	} {
		tokens := []string{"", metricsToken, readToken, adminToken}
		for i, want := range []int{c.none, c.metrics, c.read, c.admin} {
			var headers []string
			if tokens[i] != "" {
				headers = []string{"Authorization", "Bearer " + tokens[i]}
			}
			r := h.do("GET", c.path, nil, headers...)
			if r.StatusCode != want {
				t.Errorf("%s with token %d: status %d, want %d", c.path, i, r.StatusCode, want)
			}
			if i < 3 && strings.Contains(string(r.body), "top secret") {
				t.Errorf("%s shows the value to token %d", c.path, i)
			}
		}
	}
}

func TestBasicAuthenticationCarriesTheToken(t *testing.T) {
	h := withTokens(t)
	req, _ := http.NewRequest("GET", h.http.URL+"/v1/sessions", nil)
	req.SetBasicAuth("anyone", readToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestGuessingIsThrottledAndSecretsStayOutOfTheLog guesses tokens from one
// address, on 200 connections for a minute. A right token from there waits like
// the guesses; from elsewhere it does not.
func TestGuessingIsThrottledAndSecretsStayOutOfTheLog(t *testing.T) {
	h := withTokens(t)
	bubble.Test(t, func(t *testing.T) {
		ask := func(ctx context.Context, from, token string) (status int, took time.Duration) {
			r := httptest.NewRequestWithContext(ctx, "GET", "/v1/sessions", nil)
			r.RemoteAddr = from + ":1234"
			r.Header.Set("Authorization", "Bearer "+token)
			w, began := httptest.NewRecorder(), time.Now()
			h.server.Handler().ServeHTTP(w, r)
			return w.Code, time.Since(began)
		}
		ctx, stop := context.WithCancel(t.Context())
		var guesses atomic.Int64 // that were looked at
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if status, _ := ask(ctx, "192.0.2.1", "a-wrong-guess-99"); status == 401 {
						guesses.Add(1)
					}
					time.Sleep(time.Second)
				}
			})
		}
		time.Sleep(time.Minute)
		if n := guesses.Load(); n < 30 || n > tokenGuesses+61 {
			t.Errorf("%d guesses were looked at in a minute", n)
		}
		if status, took := ask(t.Context(), "192.0.2.1", readToken); status == 200 && took == 0 {
			t.Error("a right token was accepted at once in the middle of the flood")
		}
		if status, took := ask(t.Context(), "192.0.2.2", readToken); status != 200 || took > 0 {
			t.Errorf("a right token from elsewhere: %d after %v", status, took)
		}
		stop()
		wg.Wait()
		time.Sleep(time.Minute)
		for range 2 * tokenGuesses {
			if status, took := ask(t.Context(), "192.0.2.1", readToken); status != 200 || took > 0 {
				t.Fatalf("a right token after the flood: %d after %v", status, took)
			}
		}
	})
	for _, secret := range []string{"a-wrong-guess-99", readToken, adminToken, metricsToken} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
	if n := strings.Count(h.log.String(), "authentication failed"); n == 0 || n > 100 {
		t.Errorf("%d lines in the log", n)
	}
}

func TestTokensReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one read first-token-1234567")
	h := start(t, Options{Auth: AuthOptions{TokenFile: file}})
	status := func(token string) int {
		return h.do("GET", "/v1/sessions", nil, "Authorization", "Bearer "+token).StatusCode
	}
	write("two read second-token-123456")
	if status("first-token-1234567") != 200 {
		t.Error("the file was read again without Reload")
	}
	if err := h.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if first, second := status("first-token-1234567"), status("second-token-123456"); first != 401 || second != 200 {
		t.Errorf("after Reload: old token %d, new token %d", first, second)
	}
	for _, bad := range []string{"two nobody second-token-123456", "two read short", "", "two read sha256:12"} {
		write(bad)
		if err := h.server.Reload(); err == nil {
			t.Errorf("%q was accepted", bad)
		} else if strings.Contains(err.Error(), "second-token") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	if status("second-token-123456") != 200 {
		t.Error("a bad file took the old tokens away")
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	h := start(t, Options{})
	h.engine.put("k", "v", testStart+minute)
	host := strings.TrimPrefix(h.http.URL, "http://")
	for _, c := range []struct {
		method, path string
		headers      []string
		want         int
	}{
		{"GET", "/v1/sessions", nil, 200},
		{"GET", "/v1/sessions", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"GET", "/v1/sessions", []string{"Sec-Fetch-Site", "none"}, 200},
		{"GET", "/v1/sessions", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", "/v1/backup", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"DELETE", "/v1/sessions/k", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"DELETE", "/v1/sessions/k", []string{"Origin", "https://evil.example"}, 403},
		{"DELETE", "/v1/sessions/k", []string{"Origin", "null"}, 403},
		{"GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 404}, // let through
		{"GET", "/docs/troubleshooting", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 404},
		{"GET", "/docs/troubleshooting", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"POST", "/docs/troubleshooting", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"GET", "/v1/sessions", []string{"Host", "evil.example"}, 403},
		{"GET", "/v1/sessions", []string{"Host", "evil.example:8211"}, 403},
		{"GET", "/v1/sessions", []string{"Host", "localhost:8211"}, 200},
		{"GET", "/v1/sessions", []string{"Host", "[::1]:8211"}, 200},
		{"DELETE", "/v1/sessions/k", []string{"Origin", "http://" + host}, 204},
	} {
		r := h.do(c.method, c.path, nil, c.headers...)
		if r.StatusCode != c.want {
			t.Errorf("%s %s %v: status %d, want %d", c.method, c.path, c.headers, r.StatusCode, c.want)
		}
		if r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s grants another origin access", c.method, c.path)
		}
	}
}

// TestTokensServeOtherNames: with tokens, the Host may be anything.
func TestTokensServeOtherNames(t *testing.T) {
	h := withTokens(t)
	h.do("GET", "/v1/sessions", nil, "Host", "cairn.example", "Authorization", "Bearer "+readToken).want(t, 200)
}

// TestAudit checks that every change, every attempt at one and every look at a
// value is one line of the log that says who did what, and that nothing else is.
func TestAudit(t *testing.T) {
	h := start(t, Options{
		Auth:  AuthOptions{Tokens: "ops admin " + adminToken + ",dash read " + readToken},
		Level: new(slog.LevelVar),
	})
	h.engine.put("k", "top secret", session.Never)
	in60s := map[string]any{"ttl_seconds": 60}
	narrow := map[string]any{
		"prefix": "old.", "contains": "x y", "min_size": 5, "max_size": 9,
		"expires_before": "2027-01-15T09:00:00Z", "expires_after": "2027-01-15T08:30:00.5Z",
	}
	for _, c := range []struct {
		method, path string
		body         any
		token        string
		status       int
		detail       string // "-": no line
	}{
		{"GET", "/v1/sessions", nil, readToken, 200, "-"},
		{"GET", "/v1/export", nil, readToken, 200, "-"},
		{"PUT", "/v1/sessions/new", map[string]any{"value": "secret", "ttl_seconds": 60}, adminToken, 200, `"put new size=6 expires=2027-01-15T08:01:00Z"`},
		{"POST", "/v1/sessions/new/touch", in60s, adminToken, 200, `"touch new expires=2027-01-15T08:01:00Z"`},
		{"POST", "/v1/sessions/new/touch", map[string]any{"never_expires": true}, adminToken, 200, `"touch new expires=never"`},
		{"DELETE", "/v1/sessions/a%20b", nil, adminToken, 404, `"delete a%20b"`},
		{"GET", "/v1/sessions/k?value=base64", nil, adminToken, 200, `"value of k"`},
		{"GET", "/v1/sessions/k/value", nil, adminToken, 200, `"value of k"`},
		{"GET", "/v1/sessions/k/decoded", nil, adminToken, 200, `"value of k"`},
		{"GET", "/v1/export?values=true&prefix=a", nil, adminToken, 200, `"export with values prefix=a"`},
		{"POST", "/v1/import", "{}", adminToken, 422, `"import lines=1 stored=0 kept=0"`},
		{"POST", "/v1/bulk-delete", map[string]any{"dry_run": false, "filter": narrow}, adminToken, 200, `"bulk delete prefix=old. contains=x%20y expires_before=2027-01-15T09:00:00Z expires_after=2027-01-15T08:30:00.5Z min_size=5 max_size=9 matched=0 deleted=0"`},
		{"POST", "/v1/bulk-delete", map[string]any{"dry_run": true, "filter": map[string]any{"prefix": "n"}}, adminToken, 200, `"bulk delete (dry run) prefix=n matched=1 deleted=0"`},
		{"POST", "/v1/backup/tickets", nil, adminToken, 201, `"backup ticket"`},
		{"GET", "/v1/backup", nil, adminToken, 200, `backup`},
		{"DELETE", "/v1/connections/7", nil, adminToken, 404, `"close connection 7"`},
		{"PUT", "/v1/log-level", map[string]any{"level": "warn"}, adminToken, 200, `"log level info -> warn"`},
		{"POST", "/v1/flush", map[string]any{"confirm": adminapi.FlushConfirmation}, readToken, 403, `""`},
		{"POST", "/v1/flush", map[string]any{"confirm": adminapi.FlushConfirmation}, adminToken, 200, `"flush of 2 sessions in 0s"`},
	} {
		before := len(h.log.String())
		h.do(c.method, c.path, c.body, "Authorization", "Bearer "+c.token).want(t, c.status)
		name := map[string]string{adminToken: "ops", readToken: "dash"}[c.token]
		path, _, _ := strings.Cut(c.path, "?")
		want := fmt.Sprintf(" detail=%s method=%s path=%s status=%d\n", c.detail, c.method, path, c.status)
		var lines []string
		for line := range strings.Lines(h.log.String()[before:]) {
			if strings.Contains(line, "msg=audit") {
				lines = append(lines, line)
			}
		}
		switch {
		case c.detail == "-" && len(lines) == 0:
		case len(lines) != 1 || !strings.HasSuffix(lines[0], want) || !strings.Contains(lines[0], "token="+name+" address=127.0.0.1:"):
			t.Errorf("%s %s: audit lines %q, want one of %s that ends in %q", c.method, c.path, lines, name, want)
		}
	}
	if strings.Contains(h.log.String(), "secret") {
		t.Error("the log shows a value or a token")
	}
}

func TestRequestsAreLimited(t *testing.T) {
	h := start(t, Options{Limits: Limits{Requests: 0.001}})
	var statuses []int
	for range 4 {
		r := h.do("GET", "/livez", nil)
		statuses = append(statuses, r.StatusCode)
		if r.StatusCode == 429 && r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if !slices.Equal(statuses, []int{200, 200, 429, 429}) {
		t.Errorf("statuses %v", statuses)
	}
}

func TestExposure(t *testing.T) {
	open := Options{}
	tokens := Options{Auth: AuthOptions{Tokens: "a admin 0123456789abcdef"}}
	proxied := tokens
	proxied.AllowPlaintext = true
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }
	for _, c := range []struct {
		name    string
		options Options
		addr    net.Addr
		ok      bool
	}{
		{"open on loopback", open, tcp("127.0.0.1"), true},
		{"open on IPv6 loopback", open, tcp("::1"), true},
		{"open on a unix socket", open, &net.UnixAddr{Name: "x", Net: "unix"}, true},
		{"open to all", open, tcp("0.0.0.0"), false},
		{"open to a network", open, tcp("10.0.0.1"), false},
		{"tokens without TLS", tokens, tcp("0.0.0.0"), false},
		{"tokens behind a proxy", proxied, tcp("::"), true},
	} {
		c.options.Engine = newModelEngine()
		s, err := New(c.options)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CheckExposure(c.addr); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestLimitersForgetNetworks(t *testing.T) {
	l := newLimiters(1, 1)
	for i := range 3 * maxLimiters {
		l.allow(origin.OfAddr(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})))
	}
	if n := len(l.byOrigin); n > maxLimiters {
		t.Errorf("%d networks are remembered", n)
	}
}

// TestLargeBodies checks that a body which is too large is refused before it is
// sent, and one that does not tell its length when it is read.
func TestLargeBodies(t *testing.T) {
	h := start(t, Options{MaxValueSize: 1000})
	for _, request := range []struct {
		method, path string
		limit        int
	}{
		{"PUT", "/v1/sessions/k", int(h.server.maxPutBody())},
		{"POST", "/v1/flush", 1 << 20}, {"POST", "/v1/bulk-delete", 1 << 20}, {"PUT", "/v1/log-level", 1 << 20},
	} {
		conn, err := net.Dial("tcp", h.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			request.method, request.path, request.limit+1)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s %s: %v %v, want 413 before the body is sent", request.method, request.path, resp, err)
		}

		body := strings.NewReader(strings.Repeat(" ", request.limit+1))
		req, err := http.NewRequest(request.method, h.http.URL+request.path, io.MultiReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err = http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s %s of unknown length: %s", request.method, request.path, resp.Status)
		}
	}
	line := `{"key":"k","value":"x","ttl_seconds":60}` + "\n"
	result := as[adminapi.ImportResult](t, h.do("POST", "/v1/import", strings.Repeat(line, 60_000), "Content-Type", ndjson).want(t, 200))
	if result.Stored != 60_000 {
		t.Errorf("an import of more than one megabyte: %+v", result)
	}
}
