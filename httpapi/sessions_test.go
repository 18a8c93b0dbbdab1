package httpapi

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/adminapi"
)

func TestSessionLifecycle(t *testing.T) {
	h := start(t, Options{})
	path := "/v1/sessions/memc.sess.key.abc"
	put := h.do("PUT", path, map[string]any{"value": "hello", "flags": 7, "ttl_seconds": 60}).want(t, http.StatusOK)
	stored := as[adminapi.Session](t, put)
	if stored.Key != "memc.sess.key.abc" || stored.Size != 5 || stored.Flags != 7 || *stored.TTLSeconds != 60 {
		t.Errorf("put answered %+v", stored)
	}
	if got := as[adminapi.Session](t, h.do("GET", path+"?value=base64", nil).want(t, 200)); *got.ValueBase64 != "aGVsbG8=" {
		t.Errorf("value is %q", *got.ValueBase64)
	}
	if got := h.do("GET", path+"/value", nil).want(t, 200); string(got.body) != "hello" || got.Header.Get("Cairn-Flags") != "7" {
		t.Errorf("raw value is %q, flags %q", got.body, got.Header.Get("Cairn-Flags"))
	}
	touched := as[adminapi.Session](t, h.do("POST", path+"/touch", map[string]any{"ttl_seconds": 120}).want(t, 200))
	if *touched.TTLSeconds != 120 || touched.Version != stored.Version || touched.Size != 5 {
		t.Errorf("touch answered %+v", touched)
	}
	h.do("DELETE", path, nil).want(t, http.StatusNoContent)
	h.do("GET", path, nil).want(t, http.StatusNotFound)
	h.do("DELETE", path, nil).want(t, http.StatusNotFound)
	h.do("POST", path+"/touch", map[string]any{"ttl_seconds": 120}).want(t, http.StatusNotFound)
}

// awkwardKeys are keys that URLs, JSON or listings could stumble over.
var awkwardKeys = []string{
	"a/b", "/", "//", ".", "..", "a/../b", "%2F", "a b", "a+b", "?q=1", "#x", "ü", "\u2028", "<&>",
	"\x00", "\xff\xfe", "a\nb", "key\xc3", strings.Repeat("k", 250), "touch", "a%zz", `"quoted"`,
}

// TestAwkwardKeys stores, reads, lists and deletes each of them, in both ways
// of writing keys in a path.
func TestAwkwardKeys(t *testing.T) {
	h := start(t, Options{})
	for _, key := range awkwardKeys {
		encoded := "/v1/sessions/" + base64.RawURLEncoding.EncodeToString([]byte(key))
		const q = "?key_encoding=base64url"
		h.do("PUT", encoded+q, map[string]any{"value": "v of " + strings.ToValidUTF8(key, "?"), "ttl_seconds": 60}).want(t, 200)
		if key != "." && key != ".." && key != "/" { // paths cannot carry these
			got := as[adminapi.Session](t, h.do("GET", "/v1/sessions/"+percent(key), nil).want(t, 200))
			if exact(t, got) != key {
				t.Errorf("%q came back as %+v", key, got)
			}
		}
		h.do("GET", encoded+"/value"+q, nil).want(t, 200)
		h.do("POST", encoded+"/touch"+q, map[string]any{"ttl_seconds": 90}).want(t, 200)
	}
	page := as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions", nil).want(t, 200))
	var listed []string
	for _, s := range page.Sessions {
		listed = append(listed, exact(t, s))
	}
	want := slices.Sorted(slices.Values(awkwardKeys))
	if !slices.Equal(listed, want) {
		t.Errorf("listed %q, want %q", listed, want)
	}
	for _, key := range awkwardKeys {
		h.do("DELETE", "/v1/sessions/"+base64.RawURLEncoding.EncodeToString([]byte(key))+"?key_encoding=base64url", nil).want(t, 204)
	}
}

// percent encodes every byte.
func percent(key string) string {
	var b strings.Builder
	for i := range len(key) {
		fmt.Fprintf(&b, "%%%02X", key[i])
	}
	return b.String()
}

// exact returns the bytes of a session's key.
func exact(t *testing.T, s adminapi.Session) string {
	t.Helper()
	if s.KeyBase64 == "" {
		return s.Key
	}
	key, err := base64.RawURLEncoding.DecodeString(s.KeyBase64)
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

func TestGetLeavesNoTrace(t *testing.T) {
	h := start(t, Options{})
	h.engine.put("k", "v", testStart+minute)
	for range 2 {
		if got := as[adminapi.Session](t, h.do("GET", "/v1/sessions/k?value=base64", nil).want(t, 200)); got.Fetched {
			t.Error("reading through the API counts as an access")
		}
	}
}

func TestExpiry(t *testing.T) {
	h := start(t, Options{})
	put := func(expiry map[string]any) adminapi.Session {
		body := map[string]any{"value": ""}
		maps.Copy(body, expiry)
		return as[adminapi.Session](t, h.do("PUT", "/v1/sessions/k", body).want(t, 200))
	}
	if s := put(map[string]any{"never_expires": true}); !s.NeverExpires || s.ExpiresAt != nil || s.TTLSeconds != nil {
		t.Errorf("never: %+v", s)
	}
	if s := put(map[string]any{"ttl_seconds": 1.5}); *s.TTLSeconds != 1.5 {
		t.Errorf("1.5 seconds: %+v", s)
	}
	if s := put(map[string]any{"ttl_seconds": 1e300}); !s.NeverExpires {
		t.Errorf("1e300 seconds: %+v", s)
	}
	if s := put(map[string]any{"ttl_seconds": 1e12}); s.ExpiresAt.Year() != 9999 {
		t.Errorf("1e12 seconds: %+v", s)
	}
	if s := put(map[string]any{"expires_at": "2040-01-02T03:04:05.678Z"}); !s.ExpiresAt.Equal(time.Date(2040, 1, 2, 3, 4, 5, 678e6, time.UTC)) {
		t.Errorf("absolute: %+v", s)
	}
	put(map[string]any{"expires_at": "2001-01-01T00:00:00Z"})
	h.do("GET", "/v1/sessions/k", nil).want(t, 404)
	h.do("PUT", "/v1/sessions/k", map[string]any{"value": "", "ttl_seconds": 1, "never_expires": true}).want(t, 422)
	put(map[string]any{"ttl_seconds": 60})
	h.do("POST", "/v1/sessions/k/touch", map[string]any{"ttl_seconds": 0}).want(t, 200)
	h.do("GET", "/v1/sessions/k", nil).want(t, 404)
}

func TestLargestValue(t *testing.T) {
	h := start(t, Options{MaxValueSize: 1 << 20})
	body := map[string]any{"value_base64": base64.StdEncoding.EncodeToString(make([]byte, 1<<20)), "ttl_seconds": 60}
	h.do("PUT", "/v1/sessions/k", body).want(t, 200)
	body["value_base64"] = strings.Repeat("A", 2<<20)
	h.do("PUT", "/v1/sessions/k", body).want(t, 413)
}

func TestProblemsRepeatLittle(t *testing.T) {
	h := start(t, Options{})
	for _, body := range []string{
		"{" + strings.Repeat("x", 1<<20),
		`{"value":` + strings.Repeat(`[`, 1000) + strings.Repeat(`]`, 1000) + `,"ttl_seconds":1}`,
		`{"value":"x","ttl_seconds":1,"` + strings.Repeat("y", 1<<20) + `":1}`,
	} {
		r := h.do("PUT", "/v1/sessions/k", body)
		if r.StatusCode/100 != 4 || len(r.body) > 4096 {
			t.Errorf("a body of %d bytes gives status %d with %d bytes", len(body), r.StatusCode, len(r.body))
		}
	}
}
