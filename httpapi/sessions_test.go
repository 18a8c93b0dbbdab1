package httpapi

import (
	"net/http"
	"testing"
)

func TestSessionLifecycle(t *testing.T) {
	h := start(t, Options{})
	path := "/v1/sessions/memc.sess.key.abc"
	put := h.do("PUT", path, map[string]any{"value": "hello", "flags": 7, "ttl_seconds": 60}).want(t, http.StatusOK)
	stored := as[Session](t, put)
	if stored.Key != "memc.sess.key.abc" || stored.Size != 5 || stored.Flags != 7 || *stored.TTLSeconds != 60 {
		t.Errorf("put answered %+v", stored)
	}
	if got := as[Session](t, h.do("GET", path+"?value=base64", nil).want(t, 200)); *got.ValueBase64 != "aGVsbG8=" {
		t.Errorf("value is %q", *got.ValueBase64)
	}
	if got := h.do("GET", path+"/value", nil).want(t, 200); string(got.body) != "hello" || got.Header.Get("Cairn-Flags") != "7" {
		t.Errorf("raw value is %q, flags %q", got.body, got.Header.Get("Cairn-Flags"))
	}
	touched := as[Session](t, h.do("POST", path+"/touch", map[string]any{"ttl_seconds": 120}).want(t, 200))
	if *touched.TTLSeconds != 120 || touched.Version != stored.Version || touched.Size != 5 {
		t.Errorf("touch answered %+v", touched)
	}
	h.do("DELETE", path, nil).want(t, http.StatusNoContent)
	h.do("GET", path, nil).want(t, http.StatusNotFound)
	h.do("DELETE", path, nil).want(t, http.StatusNotFound)
	h.do("POST", path+"/touch", map[string]any{"ttl_seconds": 120}).want(t, http.StatusNotFound)
}
