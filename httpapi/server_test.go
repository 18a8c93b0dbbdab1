package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"cairn/owners"
	"cairn/policy"
	"cairn/session"
)

const minute = session.Time(60_000)

// harness is a server on a model, with a client's side of it.
type harness struct {
	t      testing.TB
	engine *modelEngine
	server *Server
	http   *httptest.Server
	log    *syncBuffer
}

// start serves o, whose Engine, Logger and ScratchDir it fills in if they are
// missing, until the test ends.
func start(t testing.TB, o Options) *harness {
	t.Helper()
	h := &harness{t: t, log: &syncBuffer{}}
	if o.Engine == nil {
		h.engine = newModelEngine()
		o.Engine = h.engine
	}
	if store, ok := o.Engine.(owners.Store); ok && o.Owners == nil {
		o.Owners = owners.New(owners.Options{Store: store, Rules: new(policy.Rules), Dir: t.TempDir()})
	}
	if o.ScratchDir == "" {
		o.ScratchDir = t.TempDir()
	}
	o.Logger = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.server = server
	h.http = httptest.NewServer(server.Handler())
	t.Cleanup(h.http.Close)
	return h
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body []byte
}

// do sends a request. A body that is a string goes as it is, others as JSON.
// Headers are names and values in turn.
func (h *harness) do(method, path string, body any, headers ...string) reply {
	h.t.Helper()
	var content io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(body)
	default:
		data, err := json.Marshal(body)
		if err != nil {
			h.t.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, h.http.URL+path, content)
	if err != nil {
		h.t.Fatal(err)
	}
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{resp, data}
}

// want fails the test unless the answer has the status.
func (r reply) want(t testing.TB, status int) reply {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d; body %s", r.Request.Method, r.Request.URL, r.StatusCode, status, r.body)
	}
	return r
}

// as decodes the body.
func as[T any](t testing.TB, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return v
}

// syncBuffer is a buffer that a logger and a test may use at once.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// fakeFront is a front end with what the test puts into it.
type fakeFront struct {
	mu          sync.Mutex
	connections []Connection
	closed      []uint64
}

func (f *fakeFront) EachStat(fn func(name, value string)) {
	fn("curr_connections", "2")
	fn("get_hits", "90")
	fn("get_misses", "10")
	fn("version", "1.6.45")
}

func (f *fakeFront) Connections() []Connection {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Connection(nil), f.connections...)
}

func (f *fakeFront) CloseConnection(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range f.connections {
		if c.ID == id {
			f.connections = append(f.connections[:i], f.connections[i+1:]...)
			f.closed = append(f.closed, id)
			return true
		}
	}
	return false
}
