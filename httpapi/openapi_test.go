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
	info := doc["info"].(map[string]any)
	if license, _ := info["license"].(map[string]any); license["identifier"] != "Apache-2.0" {
		t.Errorf("licence %v", info["license"])
	}
	if servers, _ := doc["servers"].([]any); len(servers) != 1 {
		t.Errorf("servers %v", doc["servers"])
	}
	described := map[any]bool{}
	for _, tag := range doc["tags"].([]any) {
		described[tag.(map[string]any)["name"]] = true
	}
	for path, item := range doc["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			o := o.(map[string]any)
			if security, _ := o["security"].([]any); len(security) != 1 {
				t.Errorf("%s %s: security %v", method, path, o["security"])
			}
			for _, tag := range o["tags"].([]any) {
				if !described[tag] {
					t.Errorf("%s %s: tag %v is not described", method, path, tag)
				}
			}
		}
	}
	own, err := h.server.OpenAPI()
	if err != nil || !json.Valid(own) {
		t.Errorf("OpenAPI gave %d bytes, %v", len(own), err)
	}
}
