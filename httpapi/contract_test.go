package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"cairn/adminapi"
	"cairn/figures"
	"cairn/live"
	"cairn/locks"
	"cairn/session"
)

// contract is the served OpenAPI document as an independent validator reads
// it: JSON Schema 2020-12, the dialect of OpenAPI 3.1.
type contract struct {
	t        testing.TB
	doc      map[string]any
	compiler *jsonschema.Compiler
	seen     map[string]bool // "METHOD /path" of operations that were answered well
}

func newContract(h *harness) *contract {
	h.t.Helper()
	body := h.do("GET", "/openapi.json", nil).want(h.t, 200).body
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	c := &contract{t: h.t, doc: doc.(map[string]any), compiler: jsonschema.NewCompiler(), seen: map[string]bool{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("openapi.json", c.doc); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// operations lists "METHOD /path" of all that is described.
func (c *contract) operations() []string {
	var all []string
	for path, item := range c.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	return all
}

// check fails the test unless the answer is one that the document allows for
// the operation.
func (c *contract) check(method, path string, r reply) reply {
	c.t.Helper()
	pointer := []string{"paths", path, strings.ToLower(method), "responses", fmt.Sprint(r.StatusCode)}
	response, ok := c.lookup(pointer)
	if !ok {
		c.t.Errorf("%s %s: status %d is not described; body %s", method, path, r.StatusCode, r.body)
		return r
	}
	if r.StatusCode < 300 {
		c.seen[method+" "+path] = true
	}
	content, _ := response.(map[string]any)["content"].(map[string]any)
	if len(content) == 0 {
		if len(r.body) > 0 {
			c.t.Errorf("%s %s: a body that is not described: %s", method, path, r.body)
		}
		return r
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || content[mediaType] == nil {
		c.t.Errorf("%s %s: content type %q is not described", method, path, r.Header.Get("Content-Type"))
		return r
	}
	for _, header := range []string{"ETag", "Cairn-Flags"} {
		if headers, _ := response.(map[string]any)["headers"].(map[string]any); headers[header] != nil && r.Header.Get(header) == "" {
			c.t.Errorf("%s %s: header %s is missing", method, path, header)
		}
	}
	c.checkBody(append(pointer, "content", mediaType, "schema"), mediaType, r.body)
	return r
}

func (c *contract) lookup(pointer []string) (any, bool) {
	var at any = c.doc
	for _, name := range pointer {
		members, _ := at.(map[string]any)
		if at = members[name]; at == nil {
			return nil, false
		}
	}
	return at, true
}

// checkBody validates JSON bodies, and each line of NDJSON.
func (c *contract) checkBody(pointer []string, mediaType string, body []byte) {
	c.t.Helper()
	documents := [][]byte{body}
	switch mediaType {
	case ndjson:
		documents = bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	case "application/json", "application/problem+json":
	default:
		return
	}
	escaped := make([]string, len(pointer))
	for i, name := range pointer {
		escaped[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	schema, err := c.compiler.Compile("openapi.json#/" + strings.Join(escaped, "/"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, document := range documents {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
		if err != nil {
			c.t.Errorf("%v: %v in %s", pointer, err, document)
			continue
		}
		if err := schema.Validate(value); err != nil {
			c.t.Errorf("%v: %v", pointer, err)
		}
	}
}

// bucketed has the figures of which there is one per bucket and per verb.
type bucketed struct{}

var (
	bucketDesc   = prometheus.NewDesc("cairn_bucket_disk_bytes", "Bytes.", []string{"deadline"}, nil)
	durationDesc = prometheus.NewDesc("cairn_request_duration_seconds", "Time.", []string{"verb"}, nil)
)

func (bucketed) Describe(ch chan<- *prometheus.Desc) { ch <- bucketDesc; ch <- durationDesc }

func (bucketed) Collect(ch chan<- prometheus.Metric) {
	for _, deadline := range []string{"1800000060", "never"} {
		ch <- prometheus.MustNewConstMetric(bucketDesc, prometheus.GaugeValue, 5, deadline)
	}
	var h figures.Histogram
	h.Observe(time.Millisecond)
	ch <- h.Times().Metric(durationDesc, "get")
}

// fakeLocks are locks that are held.
type fakeLocks []locks.Held

func (l fakeLocks) List() []locks.Held { return l }

// TestContract calls every operation of the API, well and badly, and compares
// the answers with the OpenAPI document.
func TestContract(t *testing.T) {
	front := &fakeFront{connections: []Connection{{
		ID: 7, Client: "127.0.0.1:5", Listener: "127.0.0.1:11211", Protocol: "meta", User: "u",
		Since: time.Unix(1, 0), LastActive: time.Unix(2, 0), LastVerb: "mg", Requests: 3, BytesIn: 4, BytesOut: 5,
	}}}
	feed := live.New(nil)
	h := start(t, Options{
		Memcached: front,
		Figures:   []prometheus.Collector{bucketed{}},
		Undo:      &fakeUndo{},
		History:   fakeHistory{},
		Live:      feed,
		Settings:  func() []adminapi.Setting { return []adminapi.Setting{{Name: "port"}, {Name: "token", Value: "secret"}} },
		Listening: func() []adminapi.Listening { return []adminapi.Listening{{Network: "tcp", Address: "127.0.0.1:11211"}} },
		Level:     new(slog.LevelVar),
		Locks:     fakeLocks{{Key: []byte("l"), Expiry: testStart + minute, Connection: 7, Waiting: 2, Since: testStart}, {Key: []byte("\xff"), Expiry: session.Never}},
		Config:    func() map[string]string { return map[string]string{"port": "11211"} },
		ReloadAll: func() []adminapi.ReloadedPart { return []adminapi.ReloadedPart{{What: "users", Error: "no such file"}} },
		Stop:      func() {},
		Upstream: func() adminapi.Upstream {
			return adminapi.Upstream{Servers: []adminapi.UpstreamServer{{}}, State: "moving"}
		},
	})
	c := newContract(h)
	h.engine.put("a", `{"user":"alice"}`, testStart+10*minute)
	h.engine.own("mine", "ann", testStart+10*minute)
	h.engine.own("mine too", "ann", testStart+10*minute)
	h.engine.put("\xff\x00binary", "v", session.Never)

	call := func(status int, method, path, concrete string, body any, headers ...string) reply {
		t.Helper()
		if concrete == "" {
			concrete = path
		}
		r := h.do(method, concrete, body, headers...)
		if r.StatusCode != status {
			t.Errorf("%s %s: status %d, want %d: %s", method, concrete, r.StatusCode, status, r.body)
		}
		return c.check(method, path, r)
	}
	const one, all = "/v1/sessions/{key}", "/v1/sessions"
	ttl := map[string]any{"ttl_seconds": 60}

	call(200, "GET", "/livez", "", nil)
	call(200, "GET", "/readyz", "", nil)
	call(200, "GET", "/v1/server", "", nil)
	call(200, "GET", "/v1/stats", "", nil)
	call(200, "GET", "/v1/forecast", "/v1/forecast?slots=10", nil)
	call(200, "GET", "/v1/upstream", "", nil)
	h.server.options.Upstream = nil
	call(200, "GET", "/v1/upstream", "", nil)
	call(200, "GET", "/v1/cluster", "", nil)
	h.server.options.Cluster = func() adminapi.Cluster {
		c := adminapi.NoCluster()
		c.Name, c.Nodes = "c", append(c.Nodes, adminapi.ClusterNode{Node: "1", Self: true})
		c.Groups = append(c.Groups, adminapi.ClusterGroup{})
		return c
	}
	call(200, "GET", "/v1/cluster", "", nil)
	if r := call(503, "GET", "/readyz", "", nil); !strings.Contains(string(r.body), "no_leader") {
		t.Errorf("nobody leads, and readiness is %s", r.body)
	}
	h.server.options.Cluster = func() adminapi.Cluster {
		c := adminapi.NoCluster()
		c.Name, c.Removed = "c", true
		return c
	}
	call(200, "GET", "/v1/cluster", "", nil)
	if r := call(503, "GET", "/readyz", "", nil); !strings.Contains(string(r.body), `["removed"]`) {
		t.Errorf("the node was removed, and readiness is %s", r.body)
	}
	h.server.options.Cluster = func() adminapi.Cluster {
		c := adminapi.NoCluster()
		c.Nodes = append(c.Nodes, adminapi.ClusterNode{Node: "1", Self: true, Drained: true}, adminapi.ClusterNode{Node: "2"})
		c.Groups = append(c.Groups, adminapi.ClusterGroup{Leader: "2"})
		return c
	}
	if r := call(503, "GET", "/readyz", "", nil); !strings.Contains(string(r.body), `["drained"]`) {
		t.Errorf("the node is drained, and readiness is %s", r.body)
	}
	asked := 0
	h.server.options.Cluster = func() adminapi.Cluster {
		asked++
		c := adminapi.NoCluster()
		c.Name = "c"
		return c
	}
	info := as[adminapi.ServerInfo](t, call(200, "GET", "/v1/server", "", nil))
	if info.Ready || info.Cluster != "c" || fmt.Sprint(info.Reasons) != "[no_leader]" || asked != 1 {
		t.Errorf("of a cluster without groups, asked for %d times: %+v", asked, info)
	}
	change := map[string]any{"op": "remove", "node": "00000000000000ab"}
	call(501, "POST", "/v1/cluster", "", change)
	var changeError error
	h.server.options.ChangeCluster = func(context.Context, adminapi.ClusterChange) error { return changeError }
	call(200, "POST", "/v1/cluster", "", change)
	call(200, "POST", "/v1/cluster", "", map[string]any{"op": "transfer"})
	call(200, "POST", "/v1/cluster", "", map[string]any{"op": "drain", "node": "00000000000000ab"})
	call(422, "POST", "/v1/cluster", "", map[string]any{"op": "undrain"})
	call(422, "POST", "/v1/cluster", "", map[string]any{"op": "add"})
	call(422, "POST", "/v1/cluster", "", map[string]any{"op": "add", "node": "x"})
	call(422, "POST", "/v1/cluster", "", map[string]any{"op": "else", "node": "00000000000000ab"})
	changeError = &Refusal{"it is no member"}
	if r := call(409, "POST", "/v1/cluster", "", change); !strings.Contains(string(r.body), "it is no member") {
		t.Errorf("a refusal is %s", r.body)
	}
	changeError = session.ErrUnavailable
	call(503, "POST", "/v1/cluster", "", change)
	h.server.options.Cluster, h.server.options.ChangeCluster = nil, nil
	call(422, "GET", "/v1/forecast", "/v1/forecast?slots=0", nil)
	call(200, "GET", "/v1/analysis", "/v1/analysis?sample=10&prefix=a", nil)
	call(422, "GET", "/v1/analysis", "/v1/analysis?sample=0", nil)
	call(422, "GET", "/v1/analysis", "/v1/analysis?rule=none", nil)
	call(422, "GET", "/v1/analysis", "/v1/analysis?prefix=%21&key_encoding=base64url", nil)
	call(200, "GET", "/v1/config", "", nil)
	call(200, "GET", "/v1/locks", "/v1/locks?limit=1", nil)
	call(422, "GET", "/v1/locks", "/v1/locks?limit=0", nil)

	call(200, "GET", "/v1/watch", "/v1/watch?seconds=0.001&command=get,set&prefix=a", nil)
	call(422, "GET", "/v1/watch", "/v1/watch?per_second=0", nil)
	call(422, "GET", "/v1/watch", "/v1/watch?prefix=%21&key_encoding=base64url", nil)
	call(200, "GET", "/v1/hot-keys", "/v1/hot-keys?seconds=0.001", nil)
	call(422, "GET", "/v1/hot-keys", "/v1/hot-keys?seconds=61", nil)
	h.server.options.Live = nil
	call(403, "GET", "/v1/watch", "", nil)
	call(403, "GET", "/v1/hot-keys", "", nil)

	call(200, "GET", all, all+"?limit=1", nil)
	call(422, "GET", all, all+"?limit=0", nil)
	call(422, "GET", all, all+"?cursor=nonsense", nil)
	call(422, "GET", all, all+"?expires_before=yesterday", nil)
	call(422, "GET", all, all+"?unknown=1", nil)
	call(200, "GET", one, all+"/a?value=base64", nil)
	call(200, "GET", one, all+"/_wBiaW5hcnk?key_encoding=base64url", nil)
	call(404, "GET", one, all+"/missing", nil)
	call(422, "GET", one, all+"/"+strings.Repeat("k", 251), nil)
	call(422, "GET", one, all+"/%21?key_encoding=base64url", nil)
	call(200, "GET", one+"/value", all+"/a/value", nil)
	call(404, "GET", one+"/value", all+"/missing/value", nil)
	call(200, "GET", one+"/decoded", all+"/a/decoded", nil)
	call(422, "GET", one+"/decoded", all+"/a/decoded?format=java", nil)
	call(404, "GET", one+"/decoded", all+"/missing/decoded", nil)

	put := call(200, "PUT", one, all+"/b", map[string]any{"value_base64": "AAE=", "never_expires": true})
	call(412, "PUT", one, all+"/b", map[string]any{"value": "x", "ttl_seconds": 1}, "If-None-Match", "*")
	call(412, "PUT", one, all+"/b", map[string]any{"value": "x", "ttl_seconds": 1}, "If-Match", `"1234567"`)
	call(200, "PUT", one, all+"/b", map[string]any{"value": "x", "ttl_seconds": 1}, "If-Match", put.Header.Get("ETag"))
	const raw = one + "/value"
	put = call(200, "PUT", raw, all+"/b/value?never_expires=true", "raw \xff\x00", "Content-Type", "application/octet-stream", "Cairn-Flags", "7")
	if got := call(200, "GET", raw, all+"/b/value", nil); string(got.body) != "raw \xff\x00" || got.Header.Get("Cairn-Flags") != "7" {
		t.Errorf("the raw value came back as %q, flags %s", got.body, got.Header.Get("Cairn-Flags"))
	}
	call(412, "PUT", raw, all+"/b/value?ttl_seconds=60", "x", "Content-Type", "application/octet-stream", "If-None-Match", "*")
	call(200, "PUT", raw, all+"/b/value?ttl_seconds=60", "", "Content-Type", "application/octet-stream", "If-Match", put.Header.Get("ETag"))
	call(422, "PUT", raw, all+"/b/value", "x", "Content-Type", "application/octet-stream")
	call(422, "PUT", raw, all+"/b/value?ttl_seconds=60&never_expires=true", "x", "Content-Type", "application/octet-stream")
	call(422, "PUT", one, all+"/b", map[string]any{"value": "x"})
	call(422, "PUT", one, all+"/b", map[string]any{"ttl_seconds": 1})
	call(422, "PUT", one, all+"/b", map[string]any{"value": 5, "ttl_seconds": 1})
	call(400, "PUT", one, all+"/b", "{")
	call(200, "POST", one+"/touch", all+"/b/touch", ttl)
	call(404, "POST", one+"/touch", all+"/missing/touch", ttl)
	call(422, "POST", one+"/touch", all+"/b/touch", map[string]any{})
	call(412, "DELETE", one, all+"/b", nil, "If-Match", `"1234567"`)
	call(204, "DELETE", one, all+"/b", nil)
	call(404, "DELETE", one, all+"/b", nil)

	call(200, "POST", "/v1/bulk-delete", "", map[string]any{"dry_run": true, "filter": map[string]any{"prefix": "a"}})
	call(422, "POST", "/v1/bulk-delete", "", map[string]any{"dry_run": true, "filter": map[string]any{}})
	call(422, "POST", "/v1/bulk-delete", "", map[string]any{"filter": map[string]any{"prefix": "a"}})
	const owned = "/v1/owners/{owner}"
	call(200, "GET", "/v1/owners", "/v1/owners?prefix=a&limit=1", nil)
	call(422, "GET", "/v1/owners", "/v1/owners?limit=0", nil)
	call(422, "GET", "/v1/owners", "/v1/owners?cursor=nonsense", nil)
	call(200, "GET", owned, "/v1/owners/YW5u?owner_encoding=base64url", nil)
	call(404, "GET", owned, "/v1/owners/nobody", nil)
	call(422, "GET", owned, "/v1/owners/%21?owner_encoding=base64url", nil)
	call(200, "GET", owned+"/sessions", "/v1/owners/ann/sessions", nil)
	call(422, "GET", owned+"/sessions", "/v1/owners/ann/sessions?limit=0", nil)
	call(200, "DELETE", owned+"/sessions", "/v1/owners/ann/sessions?dry_run=true&except=mine", nil)
	call(422, "DELETE", owned+"/sessions", "/v1/owners/ann/sessions?except="+strings.Repeat("k", 251), nil)
	call(200, "GET", all, all+"?owner=ann", nil)
	call(200, "GET", all, all+"?kinds=true", nil)
	call(200, "GET", "/v1/settings", "/v1/settings", nil)
	call(200, "GET", "/v1/forecast", "/v1/forecast?within_seconds=600", nil)
	call(422, "GET", "/v1/forecast", "/v1/forecast?within_seconds=0", nil)
	call(200, "GET", "/v1/history", "/v1/history?points=10", nil)
	call(422, "GET", "/v1/history", "/v1/history?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", nil)
	call(422, "GET", "/v1/history", "/v1/history?points=2001", nil)
	call(422, "GET", "/v1/history", "/v1/history?from=yesterday", nil)
	const point = "/v1/undo/{id}"
	call(200, "GET", "/v1/undo", "", nil)
	call(200, "POST", point, "/v1/undo/p1", map[string]any{"prefix": "a"})
	call(404, "POST", point, "/v1/undo/p2", map[string]any{})
	call(409, "POST", point, "/v1/undo/p3", map[string]any{})
	call(422, "POST", point, "/v1/undo/p1", map[string]any{"prefix_base64": "!"})
	call(204, "DELETE", point, "/v1/undo/p1", nil)
	call(404, "DELETE", point, "/v1/undo/p2", nil)
	export := call(200, "GET", "/v1/export", "/v1/export?values=true", nil)
	call(422, "GET", "/v1/export", "/v1/export?min_size=-1", nil)
	call(200, "POST", "/v1/import", "/v1/import?keep=true", string(export.body), "Content-Type", ndjson)
	call(422, "POST", "/v1/import", "", "{}\n", "Content-Type", ndjson)
	call(200, "GET", "/v1/backup", "", nil)
	call(201, "POST", "/v1/backup/tickets", "", nil)

	call(200, "GET", "/v1/connections", "", nil)
	call(204, "DELETE", "/v1/connections/{id}", "/v1/connections/7", nil)
	call(404, "DELETE", "/v1/connections/{id}", "/v1/connections/7", nil)
	call(422, "DELETE", "/v1/connections/{id}", "/v1/connections/x", nil)
	call(200, "POST", "/v1/reload", "", nil)
	call(202, "POST", "/v1/stop", "", nil)
	h.server.options.ReloadAll, h.server.options.Stop = nil, nil
	call(501, "POST", "/v1/reload", "", nil)
	call(501, "POST", "/v1/stop", "", nil)
	call(200, "GET", "/v1/log-level", "", nil)
	call(200, "PUT", "/v1/log-level", "", map[string]any{"level": "debug"})
	call(422, "PUT", "/v1/log-level", "", map[string]any{"level": "loud"})
	call(200, "POST", "/v1/flush", "", map[string]any{"confirm": adminapi.FlushConfirmation})
	call(422, "POST", "/v1/flush", "", map[string]any{"confirm": "yes"})

	h.server.BeginDrain()
	call(503, "GET", "/readyz", "", nil)

	for _, operation := range c.operations() {
		if !c.seen[operation] {
			t.Errorf("%s was not called with success", operation)
		}
	}
}

// TestContractOfRefusals checks the answers of every operation to a caller
// without a token, and to one whose token has not the scope.
func TestContractOfRefusals(t *testing.T) {
	h := start(t, Options{
		Auth:   AuthOptions{Tokens: "reader metrics 0123456789abcdef"},
		Limits: Limits{Requests: -1},
	})
	c := newContract(h)
	for _, operation := range c.operations() {
		method, path, _ := strings.Cut(operation, " ")
		description, _ := c.lookup([]string{"paths", path, strings.ToLower(method)})
		security := description.(map[string]any)["security"].([]any)
		if len(security[0].(map[string]any)) == 0 {
			continue
		}
		concrete := strings.NewReplacer("{key}", "k", "{owner}", "u", "{id}", "1").Replace(path)
		r := c.check(method, path, h.do(method, concrete, nil))
		if r.StatusCode != http.StatusUnauthorized || r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s without a token: status %d, headers %v", operation, r.StatusCode, r.Header)
		}
		scope := security[0].(map[string]any)[securityScheme].([]any)[0].(string)
		r = c.check(method, path, h.do(method, concrete, nil, "Authorization", "Bearer 0123456789abcdef"))
		if scope != "metrics" && r.StatusCode != http.StatusForbidden {
			t.Errorf("%s with a token of scope metrics: status %d", operation, r.StatusCode)
		}
		if scope == "metrics" && r.StatusCode != http.StatusOK {
			t.Errorf("%s with a token of its scope: status %d %s", operation, r.StatusCode, r.body)
		}
	}
}

func TestProblemsOutsideTheDescription(t *testing.T) {
	h := start(t, Options{})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1/nothing", 404, ""},
		{"GET", "/", 404, ""},
		{"POST", "/v1/sessions", 405, "GET, HEAD"},
		{"PATCH", "/v1/sessions/k", 405, "DELETE, GET, HEAD, PUT"},
		{"POST", "/metrics", 405, "GET, HEAD"},
	} {
		r := h.do(c.method, c.path, nil)
		var problem struct {
			Status int
			Detail string
		}
		if err := json.Unmarshal(r.body, &problem); err != nil || problem.Status != c.status || problem.Detail == "" {
			t.Errorf("%s %s: problem %s", c.method, c.path, r.body)
		}
		if r.StatusCode != c.status || r.Header.Get("Allow") != c.allow || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: status %d, headers %v", c.method, c.path, r.StatusCode, r.Header)
		}
	}
}
