package console_test

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"cairn/docs"
	"cairn/httpapi/console"
)

// TestManual asks for every page, and follows every link on it.
func TestManual(t *testing.T) {
	h := console.Handler()
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	pages, err := fs.Glob(docs.Pages, "*.md")
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	link := regexp.MustCompile(`href="(/docs/[^"#]*)?(?:#([^"]*))?"`)
	for _, name := range pages {
		path := "/docs/" + strings.TrimSuffix(name, ".md")
		code, page := get(path)
		if code != 200 || !strings.Contains(page, "<h1") || strings.Contains(page, "style=") || strings.Contains(page, "<script") {
			t.Errorf("%s: %d, %.200s", path, code, page)
		}
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			to, fragment := m[1], m[2]
			if to == "" {
				to = path
			}
			code, other := get(to)
			if code != 200 || fragment != "" && !strings.Contains(other, `id="`+fragment+`"`) {
				t.Errorf("%s links to %s#%s: %d, or no such heading", path, to, fragment, code)
			}
		}
	}
}

// TestVerdictsHaveRunbooks finds the entry of each verdict in the documentation.
func TestVerdictsHaveRunbooks(t *testing.T) {
	source, err := os.ReadFile("static/views/verdict.js")
	if err != nil {
		t.Fatal(err)
	}
	page, err := docs.Pages.ReadFile("troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := regexp.MustCompile(`"(Cairn[A-Z]\w+)"`).FindAllSubmatch(source, -1)
	if len(entries) < 10 {
		t.Fatalf("%d verdicts", len(entries))
	}
	for _, m := range entries {
		if !strings.Contains(string(page), "\n### "+string(m[1])+"\n") {
			t.Errorf("%s has no entry", m[1])
		}
	}
}
