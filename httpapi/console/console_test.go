package console_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cairn/engine"
	"cairn/httpapi"
	"cairn/httpapi/console"
)

const rows = ".list tbody tr"

// TestFiles checks what every response of the page carries.
func TestFiles(t *testing.T) {
	h := console.Handler()
	for path, contentType := range map[string]string{
		"/": "text/html", "/app.js": "text/javascript", "/css/base.css": "text/css", "/icon.svg": "image/svg+xml",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), contentType) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		again := httptest.NewRecorder()
		h.ServeHTTP(again, r)
		if again.Code != http.StatusNotModified {
			t.Errorf("%s again: %d, want 304", path, again.Code)
		}
	}
	for _, bad := range [][2]string{{"GET", "/nothing"}, {"GET", "/css/"}, {"GET", "/../console.go"}, {"POST", "/"}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(bad[0], "http://x"+bad[1], nil))
		if w.Code != 404 && w.Code != 405 {
			t.Errorf("%s %s: %d", bad[0], bad[1], w.Code)
		}
	}
}

func TestOverview(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put(make([]byte, 2000), 0, time.Hour, names("memc.sess.key.", 400)...)
	s.put(make([]byte, 500), 0, 10*time.Minute, names("django.session.", 99)...)
	s.put([]byte("x"), 0, 300*24*time.Hour, "remembered")
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("")
	p.see("#status", "Ready")
	p.see(".tile", "500")
	p.see(".tile", "95")       // per cent of gets that hit
	p.see("tbody td", "touch") // latency by verb
	p.see(".verdict[data-state=good]", "Healthy")
	p.see(".verdict", "of 100 ms")
	p.see(".tile", "of 512 MiB")
	p.see(".tile", fmt.Sprintf("busy\nof %d", runtime.NumCPU()))
	p.see(".tile", "of 1,024")
	p.see(".facts dd", "accepted")   // writes
	p.see(".panel th", "Dropped at") // buckets
	p.until(drawn(".chart canvas"))  // every chart has ink
	p.until(`document.querySelectorAll(".chart canvas").length === 10`)

	// The forecast is scaled to the median lifetime, so that one session does not flatten it.
	p.see(".panel header", "per 1 min, half within ")
	p.see(".panel header", ", 1 later")
	p.click(".panel button", "All")
	p.until(`/per \d+ d,/.test(document.querySelector("main").innerText)`)
	p.gone(".panel header", ", 1 later")
}

// TestLatencyLimit looks at the line from which on clients give up: it is in sight,
// at the mark of the axis, in both themes, and in the chart of latencies only.
func TestLatencyLimit(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put(make([]byte, 100), 0, time.Hour, names("a.", 100)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("")
	p.see(".tile", "100")
	// Canvases say where they put their words.
	p.do(`{
		const write = CanvasRenderingContext2D.prototype.fillText;
		CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
			(this.canvas.words ??= new Map()).set(text, y);
			write.apply(this, arguments);
		};
	}`)
	// The share of a row of pixels that has the colour of what is bad. The line is dashed.
	p.do(`window.redOf = (canvas, y) => {
		const ratio = canvas.width / canvas.clientWidth;
		const probe = new OffscreenCanvas(2, 1).getContext("2d", { willReadFrequently: true });
		probe.fillStyle = getComputedStyle(canvas).getPropertyValue("--bad");
		probe.fillRect(0, 0, 2, 1);
		const bad = probe.getImageData(0, 0, 1, 1).data;
		const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
		copy.drawImage(canvas, 0, 0);
		const row = copy.getImageData(0, Math.round(y * ratio), canvas.width, 1).data;
		let same = 0;
		for (let i = 0; i < row.length; i += 4) {
			if (row[i + 3] > 128 && [0, 1, 2].every((c) => Math.abs(row[i + c] - bad[c]) < 24)) same++;
		}
		return same / canvas.width;
	}`)
	const words = "100 ms: clients give up"
	for _, scheme := range []string{"light", "dark"} {
		p.scheme(scheme)
		p.until(`(() => {
			const [chart, ...more] = [...document.querySelectorAll(".chart canvas")].filter((c) => c.words?.has("` + words + `"));
			if (!chart || more.length) return false;
			const mark = chart.words.get("100 ms");
			return chart.closest(".panel").querySelector("h2").innerText === "Latency"
				&& Math.abs(mark - chart.words.get("` + words + `")) < 8
				&& redOf(chart, Math.floor(mark)) > 0.3 && redOf(chart, Math.floor(mark) + 20) < 0.1;
		})()`)
	}
	p.until(`[...document.querySelectorAll(".chart canvas")].every((c) => c.words?.has("` + words + `") || Array.from({ length: c.clientHeight }, (_, y) => redOf(c, y)).every((red) => red < 0.3))`)
}

// TestPastFigures shows what the server kept before the page was opened.
func TestPastFigures(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put(make([]byte, 100), 0, time.Hour, names("a.", 500)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("")
	p.see(".tile", "500")
	p.click("button", "1 d")
	p.see(".events li", "Restart")
	p.see(".events li", "for 1 min. 7 fsyncs.")
	p.see(".events li", "Election")
	chart := `document.querySelector('.plot[aria-label^="Sessions:"]')`
	p.until(chart + `.getAttribute("aria-label") === "Sessions: live 500"`)
	p.do(chart + `.focus()`)
	p.keys(kb.ArrowLeft, kb.ArrowLeft) // the last point, and the one before
	p.until(chart + `.getAttribute("aria-label") === "Sessions: live 400"`)
	marked := "Boolean(" + find(".tip", "Slow fsync") + ")"
	for presses := 0; !eval[bool](p, marked); presses++ {
		if presses > 200 { // five times as many as it takes
			t.Fatal("no point before is marked as one with a slow fsync")
		}
		p.keys(kb.ArrowLeft)
	}
}

// TestFirstRun shows how to connect, at the port that the server listens on, until
// somebody has.
func TestFirstRun(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	p := newTab(t, s.url)
	p.size(1024, 768)
	p.open("")
	p.see(".first pre", `session.save_path = "127.0.0.1:22122"`)
	p.see(".first pre", "nc 127.0.0.1 22122")
	p.click(".first button", "Django")
	p.see(".first pre", `"LOCATION": "127.0.0.1:22122"`)
	s.put([]byte("x"), 0, time.Hour, "a")
	p.gone(".first", "")
}

// TestRecipes compares the recipes with those of the README, which are tried.
func TestRecipes(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("static/lib/recipes.js")
	if err != nil {
		t.Fatal(err)
	}
	recipes := regexp.MustCompile("(?s)```(?:ini|xml|python|js|ruby)\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(recipes) < 5 {
		t.Fatalf("the README has %d recipes", len(recipes))
	}
	for _, m := range recipes {
		if !strings.Contains(string(page), string(m[1])) {
			t.Errorf("recipes.js lacks\n%s", m[1])
		}
	}
}

// TestNothingHidden goes back, presses Escape and changes the filter: what is
// selected and what the filter says is always what the page shows.
func TestNothingHidden(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("x"), 0, time.Hour, names("a.", 3)...)
	s.put([]byte("x"), 0, time.Hour, names("b.", 4)...)
	p := newTab(t, s.url)
	p.size(1024, 768)
	p.open("#/sessions")
	p.see(".foot", "7 of 7 sessions")
	field := ".search .key input"

	// A changed filter unselects.
	p.keys("j", "j", "x")
	p.see(".chosen-bar", "1 selected")
	p.write(field, "b.")
	p.gone(rows, "a.")
	p.gone(".chosen-bar", "")
	p.see(".foot", "4 match of 4 looked at, 7 sessions in all")

	// Escape in the field keeps what was typed as the filter; again, it clears both.
	p.keys("00003", kb.Escape)
	p.until(`document.querySelectorAll(".list tbody tr").length === 1`)
	p.until(fmt.Sprintf(`document.querySelector(%q).value === "b.00003"`, field))
	p.keys(kb.Escape)
	p.see(rows, "a.00000")
	p.until(fmt.Sprintf(`document.querySelector(%q).value === ""`, field))
	p.until(find("button:disabled", "Delete matching"))

	// Escape closes, then unselects, then clears the filter.
	p.do(`location.hash = "#/sessions?prefix=a."`)
	p.gone(rows, "b.")
	p.keys("j", "x", kb.Enter)
	p.see(".detail", "a.0000")
	p.keys(kb.Escape)
	p.gone(".detail", "")
	p.see(".chosen-bar", "1 selected")
	p.keys(kb.Escape)
	p.gone(".chosen-bar", "")
	p.until(find("button:enabled", "Delete matching"))
	p.keys(kb.Escape)
	p.see(rows, "b.00000")

	// Back: the field says what the list shows, also while it has the caret.
	p.do(`location.hash = "#/sessions?prefix=a."`)
	p.gone(rows, "b.")
	p.do(`location.hash = "#/sessions?prefix=b."`)
	p.gone(rows, "a.")
	p.do(fmt.Sprintf(`document.querySelector(%q).focus()`, field))
	p.do(`history.back()`)
	p.gone(rows, "b.")
	p.until(fmt.Sprintf(`document.querySelector(%q).value === "a."`, field))
}

// TestKinds shows how values are written, with room for keys beside a session.
func TestKinds(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	fillSite(s)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/sessions?contains=sess")
	p.see(".list td.kind", "binary")
	p.do(`location.hash = "#/sessions?contains=cart"`)
	p.see(".list td.kind", "php_session")
	p.picture("kinds-1440")
	p.keys("j", kb.Enter)
	p.see(".detail", "memc.sess.key.cart")
	p.until(`document.querySelector(".list td.key").clientWidth >= 240`)
	p.picture("kinds-open-1440")
	p.keys(kb.Escape)
	p.size(1024, 768)
	p.until(`document.querySelector(".list td.key").clientWidth >= 400`)
	p.picture("kinds-1024")
	p.size(390, 844)
	p.gone(".list td.kind", "")
}

// TestDiskFull shows that the page says when writes are refused.
func TestDiskFull(t *testing.T) {
	s := newSiteOn(t, httpapi.AuthOptions{}, engine.Options{DiskReserve: 1 << 60})
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("")
	p.see("#status", "Disk full")
	p.see(".facts dd.bad", "refused: disk is full")
	p.see(".verdict[data-state=bad] li", "Sessions are not stored.")
	p.see(".verdict[data-state=bad] li", "To do: Make room on the disk of the data directory.")
	p.until(find(".verdict a", "Runbook: CairnOutOfSpace") + `?.href.endsWith("/docs/troubleshooting#cairnoutofspace")`)
}

// drawn is true when every canvas that matches has pixels. It looks at copies: Chromium
// complains about canvases that are read again and again.
func drawn(selector string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].every((c) => {
		if (c.width === 0) return false;
		const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
		copy.drawImage(c, 0, 0);
		return new Uint32Array(copy.getImageData(0, 0, c.width, c.height).data.buffer).some((pixel) => pixel !== 0);
	})`, selector)
}

func TestPictures(t *testing.T) {
	if os.Getenv(screenshotsVariable) == "" {
		t.Skip("no pictures were asked for")
	}
	s := newClusterSite(t)
	fillSite(s)
	p := newTab(t, s.url)
	p.open("")
	p.click("button", "1 h") // of pastFigures
	for _, scheme := range []string{"light", "dark"} {
		p.scheme(scheme)
		for width, device := range map[int64]string{1440: "desktop", 1024: "tablet", 390: "phone"} {
			p.size(width, map[int64]int64{1440: 900, 1024: 768, 390: 844}[width])
			for _, v := range views {
				p.visit(v)
				if v.name == "overview" {
					p.see(".panel header", "per ") // the forecast has loaded
					p.until(drawn(".chart canvas"))
				}
				p.settle()
				p.picture(strings.Join([]string{v.name, device, scheme}, "-"))
			}
		}
	}
}

// settle waits until what was drawn is painted: two frames after the fonts are there.
func (p *tab) settle() {
	p.t.Helper()
	p.do(`document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))`)
}

// fillSite stores sessions as real libraries write them.
func fillSite(s *site) {
	for i, ttl := range []time.Duration{5 * time.Minute, 20 * time.Minute, 24 * time.Minute, 30 * time.Minute, 55 * time.Minute} {
		s.put(make([]byte, 700*(i+1)), 0, ttl, names(fmt.Sprintf("memc.sess.key.%d", i), 60+70*i)...)
	}
	fillKinds(s)
}

// fillKinds stores one session of each kind, and some of users.
func fillKinds(s *site) {
	s.put([]byte(phpCart), 0, 24*time.Minute, "memc.sess.key.cart")
	s.put([]byte(`{"cookie":{"maxAge":86400000,"httpOnly":true},"user":{"id":9007199254740993,"roles":["buyer","editor"]}}`), 0, 24*time.Hour, "sess:2hXqd7")
	s.put([]byte{0, 1, 2, 3, 0xff}, 7, 3*time.Hour, "bin:\xff\xfe")
	s.own("marie", phpCart, "shop.1", "shop.2", "shop.3")
	s.own("max@example.org", `{"n":1}`, "shop.4")
	s.own("\xff\x00", "x", "shop.5")
}

const phpCart = `user|a:3:{s:2:"id";i:42;s:4:"name";s:5:"Marie";s:5:"admin";b:0;}cart|a:2:{i:0;a:2:{s:3:"sku";s:6:"A-1001";s:3:"qty";i:2;}i:1;a:2:{s:3:"sku";s:6:"B-2002";s:3:"qty";i:1;}}total|d:59.85;`

func TestListing(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("x"), 0, time.Hour, names("alpha.", 250)...)
	s.put(make([]byte, 5000), 0, 24*time.Hour, names("beta.", 30)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/sessions")
	p.see(rows, "alpha.00000")
	p.until(`document.querySelectorAll(".list tbody tr").length === 100`)

	// Pages, by button and by key.
	p.click("button", "Next")
	p.see(rows, "alpha.00100")
	p.keys("n")
	p.see(rows, "alpha.00249")
	p.see(rows, "beta.00029")
	p.until(`[...document.querySelectorAll("button")].find((b) => b.innerText.includes("Next")).disabled`)
	p.keys("p")
	p.see(rows, "alpha.00100")
	p.click("button", "Previous")
	p.see(rows, "alpha.00000")

	// Filters.
	p.keys("/")
	p.until(`document.activeElement.type === "search"`)
	p.write("input[type=search]", "beta.")
	p.see(rows, "beta.00000")
	p.until(`document.querySelectorAll(".list tbody tr").length === 30`)
	p.keys("nothing like it")
	p.see(".empty", "No session matches")
	p.click("button", "Clear")
	p.see(rows, "alpha.00000")
	p.write(`input[placeholder="min bytes"]`, "4000")
	p.see(rows, "beta.00000")
	p.gone(rows, "alpha")
	p.choose(`select[aria-label="Expires"]`, "3600")
	p.see(".empty", "No session matches")
	if hash := eval[string](p, "location.hash"); !strings.Contains(hash, "within=3600") || !strings.Contains(hash, "min=4000") {
		t.Errorf("the address is %s", hash)
	}

	p.click("button", "Clear")
	p.choose(`select[aria-label="How keys are compared"]`, "contains")
	p.write("input[type=search]", "pha.0024")
	p.until(`document.querySelectorAll(".list tbody tr").length === 10`)
	p.see("mark", "pha.0024")

	// An address is a view: opened anew, it shows the same.
	p.open("#/sessions?prefix=alpha.0024")
	p.run(chromedp.Reload())
	p.until(`document.querySelectorAll(".list tbody tr").length === 10`)
}

func TestDetail(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte(phpCart), 3, time.Hour, "memc.sess.key.cart")
	s.put([]byte(`{"id":9007199254740993,"<b>":"<script>alert(1)</script>"}`), 0, time.Hour, "json <img src=x onerror=alert(1)>")
	s.put([]byte{0, 1, 2, 0xff}, 0, time.Hour, "bin:\xff\xfe", "..")
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/sessions")
	p.click(rows, "memc.sess.key.cart")
	p.see(".detail .name", "memc.sess.key.cart")
	p.see(".detail .facts", "in 59 min")
	p.see(".tree", "A-1001")
	p.see(".detail h3", "php_session")

	p.choose(`select[aria-label="Format"]`, "hex")
	p.see(".detail pre", "75 73 65 72 7c 61")
	p.expect("422") // the value is no pickle
	p.choose(`select[aria-label="Format"]`, "pickle")
	p.see(".detail .notice", "not in this format")

	// Markup in keys and values stays text, and long numbers stay exact.
	p.click(rows, "json <img")
	p.see(".tree", "9007199254740993")
	p.see(".tree", "<script>alert(1)</script>")

	// Keys that no browser can write into a path.
	p.click(rows, "bin:")
	p.see(".detail pre", "00 01 02 ff")
	p.click(rows, "..")
	p.see(".detail .name", "..")
	p.see(".detail pre", "00 01 02 ff")

	p.keys(kb.Escape)
	p.gone(".detail", "")
}

func TestTouchAndDelete(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("one"), 0, time.Hour, "user.1", "user.2", "user.3")
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/sessions?key=user.1")
	p.click(".detail button", "Change expiry")
	p.write("dialog input[name=amount]", "7")
	p.choose("dialog select", "86400")
	p.click("dialog button", "Change")
	p.see(".detail .facts", "6 d 23 h")
	if item, _ := s.get("user.1"); item.Expiry.Sub(s.store.Now()) < 6*24*time.Hour {
		t.Error("the expiry did not change")
	}

	p.click(".detail button", "Delete")
	p.click("dialog button", "Cancel")
	p.gone("dialog", "")
	if _, ok := s.get("user.1"); !ok {
		t.Error("a delete that was cancelled deleted")
	}
	p.click(".detail button", "Delete")
	p.click("dialog button.danger", "Delete")
	p.see(".toast", "Session deleted")
	p.gone(rows, "user.1")
	if _, ok := s.get("user.1"); ok {
		t.Error("the session is still there")
	}
}

func TestBulkDelete(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("x"), 0, time.Hour, names("old.", 1500)...)
	s.put([]byte("x"), 0, time.Hour, names("new.", 50)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/sessions")
	p.see(rows, "new.00000")
	p.until(`[...document.querySelectorAll("button")].find((b) => b.innerText.includes("Delete matching")).disabled`)
	p.write("input[type=search]", "old.")
	p.until(`document.querySelector(".list tbody tr").innerText.includes("old.")`)
	p.click("button", "Delete matching")
	p.see("dialog", "1,500 sessions")
	p.see("dialog .keys li", "old.00000")
	p.see("dialog .keys li", "and 1,492 others")
	if n := s.count("old."); n != 1500 {
		t.Fatalf("counting deleted: %d are left", n)
	}
	if !eval[bool](p, `document.querySelector("dialog button.danger").disabled`) {
		t.Error("the button works before the number is typed")
	}
	p.write("dialog input", "150")
	if !eval[bool](p, `document.querySelector("dialog button.danger").disabled`) {
		t.Error("the button works before the number is typed in full")
	}
	p.keys("0")
	p.click("dialog button.danger", "Delete 1,500")
	p.see(".toast", "1,500 sessions deleted")
	if old, others := s.count("old."), s.count("new."); old != 0 || others != 50 {
		t.Errorf("%d and %d are left, want 0 and 50", old, others)
	}
}

func TestDeleteSelected(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("x"), 0, time.Hour, names("s.", 20)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/sessions")
	p.see(rows, "s.00000")
	// By keys only: choose the second and the fourth row.
	p.keys("j", "j", "x", "j", "j", " ", "d")
	p.see("dialog .keys li", "s.00001")
	p.see("dialog .keys li", "s.00003")
	p.click("dialog button.danger", "Delete 2")
	p.see(".toast", "2 sessions deleted")
	p.gone(rows, "s.00001")
	for key, want := range map[string]bool{"s.00000": true, "s.00001": false, "s.00002": true, "s.00003": false} {
		if _, ok := s.get(key); ok != want {
			t.Errorf("%s is there: %v, want %v", key, ok, want)
		}
	}
	// All on the page by the box in the header.
	p.click(".list th input", "")
	p.click("button", "Delete selected")
	p.click("dialog button.danger", "Delete 18")
	p.see(".empty", "There are no sessions")
}

// TestContents asks what fills the sessions, and fewer of them.
func TestContents(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte(`{"cart":{"items":"`+strings.Repeat("x", 800)+`"},"user":"<b>ann</b>"}`), 0, time.Hour, names("shop:", 60)...)
	s.put([]byte("\x00\x01"), 0, time.Hour, names("raw:", 40)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/contents")
	p.see(".empty", "The server looks at a sample")
	p.click("form button", "Analyze")
	p.see("header", "100 were looked at, all of them")
	p.see(".facts dd", "json 60 %; hex 40 %")
	p.see("tbody tr", "cart.items")
	p.picture("contents-filled")
	p.write("input[type=search]", "raw:")
	p.click("form button", "Analyze")
	p.see("header", "40 were looked at, all of them")
	p.gone("tbody tr", "cart")
	p.write("input[type=search]", "nothing")
	p.click("form button", "Analyze")
	p.see(".empty", "There are no such sessions")
}

func TestConnections(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/connections")
	p.see("tbody tr", "192.0.2.17:40112")
	p.see("header", "2 open connections")
	p.click("th button", "Client")
	p.see(`th[aria-sort="ascending"]`, "Client")
	p.write("input[type=search]", "shop")
	p.gone("tbody tr", "192.0.2.17")
	p.click("tbody tr button", "Close")
	p.see("dialog", "192.0.2.18:51820")
	p.click("dialog button.danger", "Close connection")
	p.see("header", "1 open connection")
	if left := s.front.Connections(); len(left) != 1 || left[0].ID != 1 {
		t.Errorf("open are %v", left)
	}
}

// TestCluster shows the nodes of a cluster.
func TestCluster(t *testing.T) {
	s := newClusterSite(t)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("")
	p.see("#nav a", "Cluster")
	p.keys("g", "l")
	p.see("header", "shop: 3 members, 1 node without a connection")
	p.see("tbody tr", "this server")
	p.see("tbody tr", "10.0.0.2:7000")
	p.see("tbody tr", "hall-2")
	p.see("tbody td.bad", "no connection")
	p.see("tbody tr", "not a member, learns")
	p.see("tbody tr", "1,234,567")
	p.see("tbody td.num", "7")
	for node, figures := range map[string][]string{
		"1f3870be274f6c49": {"7", "12 GiB of 20 GiB"},
		"72b302bf297a228a": {"0", "420 µs", "full: 0 B of 20 GiB"},
		"fa00fdc1a31d1b0c": {"54,321"},
	} {
		for _, figure := range figures {
			p.see(`tr[data-node="`+node+`"] td.num`, figure)
		}
	}
	p.see(`tr[data-node="72b302bf297a228a"] td.bad`, "full")
	p.see("tbody tr", "2026-11-28 12:00:03")
	p.see("tbody td", "72b302bf297a228a 10.0.0.2:7000")
	p.see("tbody td.bad", "none")

	p.click(`tr[data-node="72b302bf297a228a"] button`, "Drain")
	p.see("dialog", "10.0.0.2:7000 will not be ready")
	p.click("dialog button.main", "Drain")
	p.see("tbody td.warn", "connected, drained")
	p.click(`tr[data-node="72b302bf297a228a"] button`, "Undo drain")
	p.click("dialog button.main", "Undo drain")
	p.gone("tbody td", "drained")
	p.gone(`tr[data-node="fa00fdc1a31d1b0c"] button`, "Drain")  // it is away
	p.gone(`tr[data-node="03c7c0ace395d801"] button`, "Remove") // it is not a member

	p.gone(`tr[data-node="72b302bf297a228a"] button`, "Make leader") // it leads
	p.click(`tr[data-node="1f3870be274f6c49"] button`, "Make leader")
	p.see("dialog", "10.0.0.1:7000 will lead")
	p.click("dialog button.main", "Make leader")
	p.see(`tr[data-node="1f3870be274f6c49"] td.num`, "1 group")

	p.click(`tr[data-node="fa00fdc1a31d1b0c"] button`, "Remove")
	if !eval[bool](p, `document.querySelector("dialog button.danger").disabled`) {
		t.Error("a node can be removed before its number is typed")
	}
	p.write("dialog input", "fa00fdc1a31d1b0c")
	p.click("dialog button.danger", "Remove")
	p.see(`tr[data-node="fa00fdc1a31d1b0c"] td.bad`, "no connection, not a member")

	p.expect("409")
	p.click(`tr[data-node="1f3870be274f6c49"] button`, "Drain")
	p.click("dialog button.main", "Drain")
	p.see("dialog .notice", "it is the last that should lead")
}

func TestServer(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("x"), 0, time.Hour, names("s.", 20)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/server")
	p.see(".facts", "1.2.3")
	p.see(".settings dt", "64m")
	p.gone("#nav a", "Cluster") // there is none
	p.see(".settings dd", "memory for hot sessions. From flag; the default is 0.")
	p.see(".settings dt", "(hidden)")
	p.see("h3", "2 settings that were set")
	p.gone("body", "secret")
	p.write(`[aria-label="Find a setting"]`, "close idle")
	p.see(".settings dt", "idle-timeout")
	p.gone(".settings dt", "64m")

	p.choose(`select[aria-label="Log level"]`, "debug")
	p.see(".toast", "debug")
	if s.level.Level() != slog.LevelDebug {
		t.Errorf("the level is %v", s.level.Level())
	}

	p.click("#flush", "Delete all")
	p.write("dialog input", "delete all session")
	if !eval[bool](p, `document.querySelector("dialog button.danger").disabled`) {
		t.Error("the button works before the sentence is whole")
	}
	p.keys("s")
	p.click("dialog button.danger", "Delete everything")
	p.see(".toast", "20 sessions deleted")
	if n := s.count(""); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestBackup downloads a backup through a ticket, with a token in force.
func TestBackup(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{Tokens: tokens})
	s.put([]byte("x"), 0, time.Hour, names("s.", 20)...)
	dir := t.TempDir()
	p := newTab(t, s.url)
	p.size(1440, 900)
	_, err := chromedp.CallBrowser(p.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
		BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.signIn(adminToken)
	p.do(`location.hash = "#/server"`)
	p.click("#backup", "Download backup")
	p.see(".toast", "being downloaded")
	var name string
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(dir, "cairn-*.tar.zst")); len(found) == 1 {
			name = found[0]
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no backup was downloaded")
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) < 4 || string(data[:4]) != "\x28\xb5\x2f\xfd" {
		t.Errorf("the backup of %d bytes is not zstd", len(data))
	}
}

const (
	adminToken  = "admin-token-of-the-test-0123456789"
	readToken   = "read-token-of-the-test-01234567890"
	metricToken = "metric-token-of-the-test-012345678"
)

var tokens = "root admin " + adminToken + "\nviewer read " + readToken + "\nprometheus metrics " + metricToken

func (p *tab) signIn(token string) {
	p.t.Helper()
	p.expect("401")
	p.run(chromedp.Navigate(p.url))
	p.write("#token", token)
	p.click("dialog button.main", "Sign in")
	p.see("#status", "Ready")
}

func TestTokens(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{Tokens: tokens})
	s.put([]byte("a secret"), 0, time.Hour, "user.1")

	t.Run("wrong", func(t *testing.T) {
		p := newTab(t, s.url)
		p.expect("401")
		p.run(chromedp.Navigate(s.url))
		p.see("dialog", "asks for a token")
		p.write("#token", "wrong")
		p.click("dialog button.main", "Sign in")
		p.see("dialog .notice", "not valid")
	})
	t.Run("read", func(t *testing.T) {
		p := newTab(t, s.url)
		p.size(1440, 900)
		p.expect("401")
		p.run(chromedp.Navigate(s.url + "/#/sessions"))
		p.write("#token", readToken)
		p.click("dialog button.main", "Sign in")
		p.see("#caller", "viewer")
		p.click(rows, "user.1")
		p.see(".detail", "administrators only")
		p.gone("button", "Delete")
		p.gone("body", "a secret")
	})
	t.Run("metrics", func(t *testing.T) {
		p := newTab(t, s.url)
		p.signIn(metricToken)
		p.see(".tile", "Sessions")
		p.gone("#nav a", "Connections")
		p.do(`location.hash = "#/sessions"`)
		p.see(".empty", "needs the scope read")
	})
	t.Run("sign out", func(t *testing.T) {
		p := newTab(t, s.url)
		p.signIn(adminToken)
		p.click("#caller button", "Sign out")
		p.see("dialog", "asks for a token")
	})
}

// TestServerGone shows that the page says so when the server stops answering,
// and recovers by itself.
func TestServerGone(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	broken := make(chan bool, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case down := <-broken:
			broken <- down
			panic(http.ErrAbortHandler)
		default:
		}
		forward(w, r, s.url)
	}))
	t.Cleanup(proxy.Close)
	p := newTab(t, proxy.URL)
	p.expect("ERR_")
	p.open("")
	p.see("#status", "Ready")
	broken <- true
	p.see("#status", "No connection")
	p.see("#stale", "No figures since ")
	p.until(`document.querySelector("main.stale .tiles")`)
	<-broken
	p.see("#status", "Ready")
	p.gone("#stale", "")
	p.until(`!document.querySelector("main.stale")`)
}

func forward(w http.ResponseWriter, r *http.Request, to string) {
	resp, err := http.Get(to + r.URL.RequestURI())
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// TestKeyboard goes through the views without a pointer.
func TestKeyboard(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte("x"), 0, time.Hour, names("s.", 3)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("")
	p.keys("g", "s")
	p.see(rows, "s.00000")
	p.keys("j", kb.Enter)
	p.see(".detail .name", "s.00000")
	p.keys("j")
	p.see(".detail .name", "s.00001")
	p.keys(kb.Escape)
	p.gone(".detail", "")
	p.keys("g", "c")
	p.see("h1", "Connections")
	p.keys("g", "a")
	p.see("h2", "Settings")
	p.keys("?")
	p.see("dialog", "Next row")
	p.keys(kb.Escape)
	p.gone("dialog", "Next row")
	p.keys("g", "o")
	p.see("h1", "Overview")
	if focus := eval[string](p, `document.querySelector(".chart .plot").focus(); document.activeElement.getAttribute("aria-label")`); !strings.HasPrefix(focus, "Operations per second: get") {
		t.Errorf("a chart reads %q", focus)
	}
	p.keys(kb.ArrowLeft)
	p.until(`!document.querySelector(".chart .tip").hidden`)
}

// TestTabs goes through a view with Tab alone: in the order of the page, and
// what has the focus is always seen to have it.
func TestTabs(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	s.put([]byte(phpCart), 0, time.Hour, names("s.", 3)...)
	p := newTab(t, s.url)
	p.size(1440, 900)
	p.open("#/sessions?key=s.00001")
	p.see(".tree", "A-1001")
	p.do(`window.visited = []; document.addEventListener("focusin", (event) => {
		const style = getComputedStyle(event.target), place = event.target.getBoundingClientRect();
		const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 && place.top >= 0 && place.bottom <= innerHeight && place.width > 0;
		const before = visited.at(-1)?.element;
		visited.push({ element: event.target, seen, after: !before || Boolean(before.compareDocumentPosition(event.target) & Node.DOCUMENT_POSITION_FOLLOWING) });
	})`)
	p.keys(kb.Tab)
	p.see(".skip:focus", "Skip to content")
	p.until(`document.activeElement.getBoundingClientRect().top >= 0`)
	for range 60 {
		p.keys(kb.Tab)
		if !eval[bool](p, `document.activeElement !== document.body && document.activeElement !== visited[0].element`) {
			break
		}
	}
	words := `.map((v) => v.element.innerText || v.element.getAttribute("aria-label") || v.element.tagName)`
	if hidden := eval[[]string](p, `visited.filter((v) => !v.seen && !v.element.matches(".skip"))`+words); len(hidden) > 0 {
		t.Errorf("the focus is not seen on %q", hidden)
	}
	if back := eval[[]string](p, `visited.filter((v) => !v.after)`+words); len(back) > 0 {
		t.Errorf("Tab goes back to %q", back)
	}
	for _, selector := range []string{"#nav a", "#theme", "input[type=search]", ".danger", ".list th input", ".list tbody tr", ".foot button, .list tbody tr", ".detail .close", ".detail select", ".detail summary"} {
		if !eval[bool](p, fmt.Sprintf(`visited.some((v) => v.element.matches(%q))`, selector)) {
			t.Errorf("Tab does not reach %s", selector)
		}
	}

	// The first link leads past the header, within the view.
	p.do(`document.querySelector(".skip").focus()`)
	p.keys(kb.Enter)
	p.until(`document.activeElement === document.querySelector("main")`)
	p.see(rows, "s.00000")

	// A dialog has the focus until Escape, and then gives it back.
	p.do(`[...document.querySelectorAll(".detail button")].find((b) => b.innerText.includes("Delete")).focus()`)
	p.keys(kb.Enter)
	p.see("dialog", "Delete this session?")
	for range 4 {
		p.keys(kb.Tab)
		p.until(`document.activeElement.closest("dialog") || document.activeElement === document.body`)
	}
	p.keys(kb.Escape)
	p.gone("dialog", "")
	p.until(`document.activeElement.innerText?.includes("Delete")`)
	if _, ok := s.get("s.00001"); !ok {
		t.Error("Escape deleted the session")
	}
}

// TestTheme changes it by the button and keeps it.
func TestTheme(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	p := newTab(t, s.url)
	p.scheme("light")
	p.open("")
	ground := func() string { return eval[string](p, "getComputedStyle(document.body).backgroundColor") }
	light := ground()
	p.click("#theme", "")
	p.click("#theme", "")
	dark := ground()
	if light == dark {
		t.Fatalf("both themes are on %s", light)
	}
	p.run(chromedp.Reload())
	p.see("#status", "Ready")
	if ground() != dark {
		t.Error("the theme was forgotten")
	}
	p.click("#theme", "")
	p.scheme("dark")
	if ground() != dark {
		t.Error("the system's theme is not followed")
	}
}

// TestPhone checks that no view is wider than a small phone, nor would be with long numbers.
func TestPhone(t *testing.T) {
	s := newClusterSite(t)
	fillSite(s)
	p := newTab(t, s.url)
	p.size(360, 740)
	p.open("")
	p.see("#status", "Ready")
	for _, v := range views {
		p.visit(v)
		const width = `document.documentElement.scrollWidth`
		if now, long := eval[int](p, width), eval[int](p, `(() => { for (const e of document.querySelectorAll("main td.num")) e.textContent = "12,345.6 ms"; return `+width+` })()`); now > 360 || long > 360 {
			t.Errorf("%s is %d pixels wide, and %d with long numbers", v.hash, now, long)
		}
		beyond := `[...document.querySelectorAll("main button, main input, main select")].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth).map((e) => e.innerText || e.tagName)`
		if names := eval[[]string](p, beyond); len(names) > 0 {
			t.Errorf("%s has %q to the right of the screen", v.hash, names)
		}
		if !eval[bool](p, `(() => { const link = document.querySelector("#nav [aria-current]").getBoundingClientRect(); return link.left > -1 && link.right < innerWidth + 1 })()`) {
			t.Errorf("%s is not to be seen in the navigation", v.hash)
		}
	}
}

// TestArithmetic checks the page's figures against ones worked out by hand.
func TestArithmetic(t *testing.T) {
	s := newSite(t, httpapi.AuthOptions{})
	p := newTab(t, s.url)
	p.open("")
	for expression, want := range map[string]string{
		`import("/lib/format.js").then((f) => [0, 7, 9999, 12345, 999999, 4560000].map(f.short).join("|"))`:                                           "0|7|9,999|12.3 k|1,000 k|4.6 M",
		`import("/lib/format.js").then((f) => [0, 1023, 1536, 1048576, 5e12].map(f.bytes).join("|"))`:                                                 "0 B|1,023 B|1.5 KiB|1 MiB|4.5 TiB",
		`import("/lib/format.js").then((f) => [4e-7, 0.00042, 0.0123, 0.7, 12].map(f.latency).join("|"))`:                                             "0.4 µs|420 µs|12.3 ms|700 ms|12 s",
		`import("/lib/format.js").then((f) => [0.2, 59, 60, 3661, 90061, 86400].map(f.span).join("|"))`:                                               "0 s|59 s|1 min|1 h 1 min|1 d 1 h|1 d",
		`import("/lib/format.js").then((f) => [0.5, 0.9999, 1, NaN].map(f.percent).join("|"))`:                                                        "50 %|> 99.9 %|100 %|–",
		`import("/lib/ticks.js").then((t) => [t.ticks(90, 3), t.ticks(0, 3), t.ticks(3 * 1024, 3, true), t.ticks(0, 3, true)].join("|"))`:             "0,50,100|0,0.5,1|0,1024,2048,3072|0,512,1024",
		`import("/lib/quantile.js").then((q) => q.quantiles({count: 100, bounds: [1, 2, 4], counts: [50, 40, 8]}, [0.5, 0.9, 0.94, 0.99]).join("|"))`: "1|2|3|4",
		`import("/lib/quantile.js").then((q) => JSON.stringify(q.difference([{count_total: 5, buckets: [{le_seconds: 1, count_total: 3}, {le_seconds: 2, count_total: 5}]}], [{count_total: 9, buckets: [{le_seconds: 1, count_total: 4}, {le_seconds: 2, count_total: 8}]}])))`: `{"count":4,"bounds":[1,2],"counts":[1,2]}`,
		`import("/views/overview.js").then((o) => JSON.stringify(o.merge([0, 60, 3540, 3600].map((from) => ({from, sessions: 1, bytes: 2})), 60)))`:                                                                                                                              `{"width":120,"slots":[{"from":0,"sessions":2,"bytes":4},{"from":3480,"sessions":1,"bytes":2},{"from":3600,"sessions":1,"bytes":2}]}`,
		`import("/views/detail.js").then((d) => d.dump("41420a"))`: "000000  41 42 0a                                         AB·",
	} {
		if got := eval[string](p, expression); got != want {
			t.Errorf("%s\n gives %q\n want  %q", expression, got, want)
		}
	}
}
