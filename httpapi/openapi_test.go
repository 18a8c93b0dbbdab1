package httpapi

import (
	"encoding/json"
	"testing"
)

func TestOpenAPIIsServed(t *testing.T) {
	h := start(t, Options{})
	doc := as[map[string]any](t, h.do("GET", "/openapi.json", nil).want(t, 200))
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", doc["openapi"])
	}
	own, err := h.server.OpenAPI()
	if err != nil || !json.Valid(own) {
		t.Errorf("OpenAPI gave %d bytes, %v", len(own), err)
	}
}
