package console_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"cairn/httpapi"
)

// TestAPIPage reads the description of the API as people do: every operation is
// there, opens, and nothing breaks the page's policy.
func TestAPIPage(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{Tokens: "someone admin a-secret-of-many-letters"}) // the page needs none
	var api struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	answer, err := http.Get(s.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(text, &api)
	}
	operations := 0
	for _, item := range api.Paths {
		operations += len(item)
	}
	if err != nil || operations < 20 {
		t.Fatalf("%d operations, %v", operations, err)
	}

	p := newTab(t, s.url)
	p.open("api.html#put-session")
	p.see("#put-session", "If-None-Match")
	p.see("#put-session", "Request: PutBody")
	p.see("#put-session pre", "curl -X PUT")
	p.see("#livez", "no token")
	if n := eval[int](p, `document.querySelectorAll("details").length`); n != operations {
		t.Errorf("%d of %d operations are shown", n, operations)
	}
	if n := eval[int](p, `(() => { for (const d of document.querySelectorAll("details")) d.open = true; return document.querySelectorAll("details").length })()`); n != operations {
		t.Errorf("%d opened", n)
	}
	p.picture("api")
	p.size(360, 740)
	if width := eval[int](p, "document.documentElement.scrollWidth"); width > 360 {
		t.Errorf("%d pixels wide on a phone", width)
	}
	p.picture("api-phone")
	shown := `[...document.querySelectorAll("details")].filter((d) => d.checkVisibility()).map((d) => d.id).sort().join()`
	eval[int](p, `(() => { const f = document.getElementById("find"); f.value = "backup ticket"; f.dispatchEvent(new Event("input")); return 0 })()`)
	if ids := eval[string](p, shown); ids != "create-backup-ticket" {
		t.Errorf("found %q", ids)
	}
	eval[int](p, `(() => { const f = document.getElementById("find"); f.value = "no such thing"; f.dispatchEvent(new Event("input")); return 0 })()`)
	p.see("#none", "No operation")
}
