package httpapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"cairn/session"
)

// notText is what no JSON string of characters holds.
var notText = []string{"\xff", "a\xc3", "\xed\xa0\x80", `\ud800`, `\udc00`, `\udc00\ud800`, `\ud800\ud800\udc00`, `\ud800x`, `\\\ud800`, `\uD8ff\n`}

// TestTextThatIsNone is refused in every body, before it does anything.
func TestTextThatIsNone(t *testing.T) {
	h := start(t, Options{})
	stored := "\uFFFD:a" // what Go's decoder makes of such text
	h.engine.put(stored, "v", session.Never)
	for _, text := range notText {
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/v1/bulk-delete", `{"filter":{"prefix":"` + text + `"},"confirm":"delete"}`},
			{"PUT", "/v1/sessions/k", `{"value":"` + text + `","ttl_seconds":60}`},
			{"POST", "/v1/import", `{"key":"` + text + `","value":"v","ttl_seconds":60}` + "\n"},
			{"POST", "/v1/import", `{"key":"k","value":"` + text + `","ttl_seconds":60}` + "\n"},
		} {
			r := h.do(c.method, c.path, c.body)
			if r.StatusCode != 400 && r.StatusCode != 422 || !strings.Contains(string(r.body), "base64") {
				t.Errorf("%s %s: %d %s", c.method, c.body, r.StatusCode, r.body)
			}
		}
	}
	if keys := keysOf(t, h, "limit=10"); !slices.Equal(keys, []string{stored}) {
		t.Errorf("stored are %q", keys)
	}
}

func TestTextThatIsText(t *testing.T) {
	for _, text := range []string{`"a\\ud800"`, `"\ud83d\ude00"`, `"😀"`, `"\\\\"`, `"\u0000\uffff"`, `"\"\\"`, `{"\ud83d\ude00":"\n"}`, `"\ud7ff\ue000"`} {
		var v, want any
		if err := unmarshalJSON([]byte(text), &v); err != nil || json.Unmarshal([]byte(text), &want) != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzText compares with what Go's decoder puts in for characters that it does
// not have.
func FuzzText(f *testing.F) {
	for _, text := range notText {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted := []byte(`"` + text + `"`)
		var s string
		if json.Unmarshal(quoted, &s) != nil || strings.Contains(strings.ToLower(text), "fffd") || strings.Contains(text, "\uFFFD") {
			return
		}
		if changed := strings.Contains(s, "\uFFFD"); changed != (checkText(quoted) != nil) {
			t.Errorf("%q is read as %q: %v", quoted, s, checkText(quoted))
		}
	})
}
