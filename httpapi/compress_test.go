package httpapi

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Figures and the description go out compressed; what has sessions in it does not,
// however much of it there is.
func TestOnlyWhatHoldsNoSessionsIsCompressed(t *testing.T) {
	h := start(t, Options{Console: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, strings.Repeat("<p>Cairn</p>", 1000))
	})})
	key := "memc.sess.key." + strings.Repeat("x", 100)
	h.do("PUT", "/v1/sessions/"+key+"/value?never_expires=true", strings.Repeat("secret ", 1000)).want(t, 200)
	for path, want := range map[string]bool{
		"/":                                true,
		"/openapi.json":                    true,
		"/v1/stats":                        true,
		"/livez":                           false,
		"/v1/sessions/" + key + "/value":   false,
		"/v1/sessions/" + key + "/decoded": false,
		"/v1/sessions":                     false,
		"/v1/owners":                       false,
		"/v1/export?values=true":           false,
		"/v1/config":                       false,
	} {
		answer := get(t, h, path, "gzip")
		compressed := answer.Header.Get("Content-Encoding") == "gzip"
		if answer.StatusCode != 200 || compressed != want {
			t.Errorf("%s: %s, compressed: %v", path, answer.Status, compressed)
		}
		if !want {
			continue
		}
		if !strings.Contains(answer.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: Vary is %q", path, answer.Header.Get("Vary"))
		}
		reader, err := gzip.NewReader(answer.Body)
		if err != nil {
			t.Fatal(path, err)
		}
		unpacked, err := io.ReadAll(reader)
		plain, plainErr := io.ReadAll(get(t, h, path, "identity").Body)
		if err != nil || plainErr != nil || len(unpacked) == 0 || path != "/v1/stats" && string(unpacked) != string(plain) {
			t.Errorf("%s: %d bytes, uncompressed %d; %v, %v", path, len(unpacked), len(plain), err, plainErr)
		}
	}
}

// Every operation whose answer names a session or a user stays as it is, also
// operations that are yet to come.
func TestCompressionIsAskedForByName(t *testing.T) {
	h := start(t, Options{})
	for path := range h.server.api.OpenAPI().Paths {
		switch path {
		case "/v1/stats", "/v1/forecast", "/v1/history":
		default:
			if isCompressed(path) {
				t.Errorf("%s is compressed", path)
			}
		}
	}
}

// get asks with an Accept-Encoding of its own, so that Go's client unpacks
// nothing.
func get(t *testing.T, h *harness, path, encoding string) *http.Response {
	t.Helper()
	r, err := http.NewRequest("GET", h.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", encoding)
	answer, err := h.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}
