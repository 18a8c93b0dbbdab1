package console_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cairn/engine"
	"cairn/httpapi"
)

// axeFile is what interop/install.sh has from npm.
const axeFile = "accessibility/node_modules/axe-core/axe.min.js"

// axe is the text of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(axeFile)
	return string(text), err
})

// needAxe skips a test where axe-core is not installed, but not in CI.
func needAxe(t *testing.T) {
	t.Helper()
	if _, err := axe(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("axe-core is not installed: run interop/install.sh: ", err)
		}
		t.Skip("axe-core is not installed: ", err)
	}
}

// allRules are axe's rules, its best practices too; colors is what a theme changes.
const (
	allRules = `{}`
	colors   = `{"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}`
)

// violation is a rule of axe that elements of the page break.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		Target  []any  `json:"target"` // selectors
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// accessible lets axe judge the page as it is now, and of a page with a dialog only that:
// all else is inert then. The script comes through the DevTools
// protocol, which the page's policy does not bind.
func (p *tab) accessible(what, options string) {
	p.t.Helper()
	if !eval[bool](p, `typeof axe === "object"`) {
		script, err := axe()
		if err != nil {
			p.t.Fatal(err)
		}
		send(p, runtime.Evaluate, runtime.EvaluateParams{Expression: script + ";0"})
	}
	answer := eval[string](p, fmt.Sprintf(`axe.run(document.querySelector("dialog[open]") ?? document, {preload: false, resultTypes: ["violations"], ...%s})
		.then((r) => JSON.stringify({violations: r.violations, rules: r.passes.length}))`, options))
	var judged struct {
		Violations []violation `json:"violations"`
		Rules      int         `json:"rules"` // that elements keep
	}
	if err := json.Unmarshal([]byte(answer), &judged); err != nil {
		p.t.Fatal(err)
	}
	if judged.Rules == 0 {
		p.t.Errorf("%s: axe found nothing to judge", what)
	}
	for _, v := range judged.Violations {
		for _, n := range v.Nodes {
			p.t.Errorf("%s: %s (%s) at %v\n%s\n%s", what, v.ID, v.Help, n.Target, n.HTML, n.Summary)
		}
	}
}

// view is one of the console's, and how to tell that it shows what it has.
type view struct {
	name                 string // of its pictures
	hash, selector, text string
}

// views are all that the page's router knows, a session beside the list, and the
// contents once somebody asked for them.
var views = []view{
	{"overview", "#/overview", ".events li", "Restart"},
	{"sessions", "#/sessions", rows, "memc.sess.key."},
	{"session", "#/sessions?prefix=memc.&key=memc.sess.key.cart", ".tree", "A-1001"},
	{"users", "#/users", ownerRows, "marie"},
	{"contents", "#/contents", "form button", "Analyze"},
	{"connections", "#/connections", "tbody tr", "192.0.2.17"},
	{"cluster", "#/cluster", "tbody tr", "10.0.0.2:7000"},
	{"server", "#/server", ".settings dt", "64m"},
}

// visit goes to a view within the page, and waits until it shows what it has.
func (p *tab) visit(v view) {
	p.t.Helper()
	p.do(fmt.Sprintf(`location.hash = %q`, v.hash))
	p.see("main "+v.selector, v.text)
	if v.hash == "#/contents" {
		p.click("form button", v.text)
		p.see("main tbody tr", "cart")
	}
}

// TestViews compares the list of views with the page's router.
func TestViews(t *testing.T) {
	source, err := os.ReadFile("static/app.js")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(source), "const views = {")
	list, _, _ = strings.Cut(list, "};")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) < 6 {
		t.Fatalf("the router has %q", lines)
	}
	for _, line := range lines {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		known := false
		for _, v := range views {
			known = known || v.hash == "#/"+name
		}
		if !known {
			t.Errorf("the view %s is not in the list", name)
		}
	}
}

// TestAccessible lets axe judge every view in three widths and both themes. Themes change
// colors alone, so one is judged by all rules.
func TestAccessible(t *testing.T) {
	needAxe(t)
	s := newClusterSite(t)
	fillKinds(s) // no long list: axe looks at every row
	p := newTab(t, s.url)
	p.scheme("light")
	p.size(1440, 900)
	p.open("")
	p.see("#status", "Ready")
	for _, v := range views {
		p.size(1440, 900)
		p.visit(v)
		p.accessible(v.hash, allRules)
		p.scheme("dark")
		p.accessible(v.hash+", dark", colors)
		p.size(1024, 768)
		p.accessible(v.hash+", tablet, dark", colors)
		p.scheme("light")
		p.accessible(v.hash+", tablet", allRules)
		p.size(390, 844)
		p.accessible(v.hash+", phone", allRules)
	}
}

// TestAccessibleDialogs lets axe judge every dialog in both themes.
func TestAccessibleDialogs(t *testing.T) {
	needAxe(t)
	s := newSite(t, httpapi.AuthOptions{})
	fillKinds(s)
	p := newTab(t, s.url)
	p.size(1024, 768)
	p.scheme("light")
	p.open("")
	p.see("#status", "Ready")
	for _, d := range []struct{ hash, button, text, seen string }{
		{"#/sessions?prefix=shop.", "button", "Delete matching", "shop.5"},
		{"#/sessions?key=shop.1", ".detail button", "Change expiry", "Change"},
		{"#/sessions?key=shop.1", ".detail button", "Delete", "shop.1"},
		{"#/sessions?owner=marie", "button", "End all sessions of this user", "marie"},
		{"#/connections", "tbody tr button", "Close", "192.0.2."},
		{"#/server", "#flush", "Delete all", "delete all sessions"},
		{"#/server", "#help", "", "Next row"},
	} {
		p.do(fmt.Sprintf("location.hash = %q", d.hash))
		p.click(d.button, d.text)
		p.see("dialog", d.seen)
		p.do(`document.querySelector("dialog").style.zIndex = 9`) // axe does not know that dialogs are above all
		p.accessible(d.text+" at "+d.hash, allRules)
		p.scheme("dark")
		p.accessible(d.text+" at "+d.hash+", dark", colors)
		p.scheme("light")
		p.keys(kb.Escape)
		p.gone("dialog", "")
	}
}

// TestAccessibleSignIn judges what is shown before anything else.
func TestAccessibleSignIn(t *testing.T) {
	needAxe(t)
	s := newSite(t, httpapi.AuthOptions{Tokens: tokens})
	p := newTab(t, s.url)
	p.scheme("light")
	p.expect("401")
	p.run(chromedp.Navigate(s.url))
	p.see("dialog", "asks for a token")
	p.accessible("sign in", allRules)
	p.scheme("dark")
	p.accessible("sign in, dark", colors)
}

// TestAccessibleBeside judges the pages beside the console, and the console of a server
// that is new and has trouble.
func TestAccessibleBeside(t *testing.T) {
	needAxe(t)
	s := newSiteOn(t, httpapi.AuthOptions{}, engine.Options{DiskReserve: 1 << 60})
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.scheme("light")
	p.open("")
	p.see(".verdict li", "Sessions are not stored.")
	p.see(".first pre", "127.0.0.1:22122")
	p.see("#status", "Disk full")
	p.accessible("trouble", allRules)
	p.scheme("dark")
	p.accessible("trouble, dark", colors)
	for _, path := range []string{"/api.html#put-session", "/docs/troubleshooting"} {
		p.run(chromedp.Navigate(s.url + path))
		p.see("main h1", "")
		p.accessible(path+", dark", colors)
		p.scheme("light")
		p.accessible(path, allRules)
	}
}
