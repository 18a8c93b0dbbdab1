package console_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screenshotsVariable names a directory that gets a picture of every view.
const screenshotsVariable = "CAIRN_SCREENSHOTS"

// patience bounds each wait for the page, also on a loaded machine.
const patience = 60 * time.Second

// chromium is the one Chromium that all tests share.
var chromium struct {
	sync.Once
	ctx  context.Context
	stop func()
	err  error

	idle *target // a page that the next test takes over; nil: there is none
}

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Close()
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(code)
}

func startBrowser() {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(patience))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	chromium.ctx = ctx
	chromium.stop = func() { stopBrowser(); stopAllocator() }
	chromium.err = chromedp.Do(ctx)
}

// target is a page of Chromium that one test after the other uses: a page in a fresh
// profile costs more than most tests.
type target struct {
	ctx   context.Context
	close func()

	mu  sync.Mutex
	tab *tab // who uses it; nil: nobody
}

// tab is one page of the console that nothing has been done to yet. Whatever the page
// complains about on its console fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	mu         sync.Mutex
	complaints []string
	expected   []string // parts of complaints that the test provokes
}

// newTab opens an empty tab for the console at url.
func newTab(t *testing.T, url string) *tab {
	t.Helper()
	if !hasChromium() {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	chromium.Do(startBrowser)
	if chromium.err != nil {
		t.Fatal("chromium does not start:", chromium.err)
	}
	at := chromium.idle
	chromium.idle = nil
	if at == nil {
		at = newTarget(t)
	}
	p := &tab{t: t, url: url, ctx: at.ctx}
	at.use(p)
	t.Cleanup(func() {
		if t.Failed() {
			p.picture("failed-" + t.Name())
		}
		p.leave(at)
	})
	return p
}

// eager makes a page ask for news ten times as often as it does for people.
const eager = `{ const wait = window.setTimeout; window.setTimeout = (f, ms, ...rest) => wait(f, ms === 2000 ? 200 : ms, ...rest); }`

func newTarget(t *testing.T) *target {
	t.Helper()
	at := &target{}
	at.ctx, at.close = chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(at.listen))
	if err := chromedp.Do(at.ctx); err != nil {
		at.close()
		t.Fatal(err)
	}
	setup := &tab{t: t, ctx: at.ctx}
	send(setup, log.Enable, cdp.Empty{})
	send(setup, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
	send(setup, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: eager})
	return at
}

func (at *target) use(p *tab) {
	at.mu.Lock()
	defer at.mu.Unlock()
	at.tab = p
}

func (at *target) listen(event any) {
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.tab != nil {
		at.tab.listen(event)
	}
}

// leave forgets what the test has left in the page, and lets the next one have it. After
// a failure, of which nobody knows what it has left, the page is closed.
func (p *tab) leave(at *target) {
	failed := p.t.Failed()
	if !failed {
		p.do(`localStorage.clear(); sessionStorage.clear()`)
	}
	at.use(nil)
	p.check()
	if failed || chromium.idle != nil {
		at.close()
		return
	}
	p.run(chromedp.Navigate("about:blank"))
	send(p, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
	send(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	chromium.idle = at
}

func hasChromium() bool {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	return false
}

func (p *tab) listen(event any) {
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		p.complain("exception: " + describe(event.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range event.Args {
			words = append(words, string(arg.Value), arg.Description)
		}
		p.complain(fmt.Sprint("console.", event.Type, ": ", words))
	case *log.EventEntryAdded:
		p.complain(fmt.Sprint("log: ", event.Entry.Text, " ", event.Entry.URL))
	}
}

func describe(e *runtime.ExceptionDetails) string {
	what := e.Text
	if e.Exception != nil {
		what += " " + e.Exception.Description
	}
	return fmt.Sprintf("%s at %s:%d", what, e.URL, e.LineNumber+1)
}

func (p *tab) complain(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, what)
}

// expect lets the page complain about what it was provoked to.
func (p *tab) expect(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, part)
}

func (p *tab) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
complaints:
	for _, complaint := range p.complaints {
		for _, part := range p.expected {
			if strings.Contains(complaint, part) {
				continue complaints
			}
		}
		p.t.Error("the page complained:", complaint)
	}
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// send gives the tab a command of the DevTools protocol.
func send[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.t.Fatal(command.Method, err)
	}
}

// size sets the window, of a phone if it is narrow, whose pictures are finer.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	phone, scale := width < 600, 1.0
	if phone && os.Getenv(screenshotsVariable) != "" {
		scale = 2
	}
	send(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: scale, Mobile: phone,
	})
}

// scheme makes the system prefer "light" or "dark".
func (p *tab) scheme(name string) {
	p.t.Helper()
	send(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// open goes to a view, such as "#/sessions".
func (p *tab) open(hash string) {
	p.t.Helper()
	p.run(chromedp.Navigate(p.url + "/" + hash))
	p.see("main > *", "")
}

// until waits for a JavaScript expression to become true.
func (p *tab) until(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !eval[bool](p, "Boolean("+expression+")"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never true: %s\nThe page shows:\n%s", expression, eval[string](p, "document.body.innerText"))
		}
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatal(expression, err)
	}
	return value
}

// do runs a JavaScript statement.
func (p *tab) do(statement string) {
	p.t.Helper()
	eval[chromedp.Void](p, statement)
}

// find is the visible element that matches the selector and has the text, as
// JavaScript.
func find(selector, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => e.checkVisibility() && e.innerText.includes(%q))`, selector, text)
}

// see waits until there is such an element.
func (p *tab) see(selector, text string) {
	p.t.Helper()
	p.until(find(selector, text))
}

// gone waits until there is no such element.
func (p *tab) gone(selector, text string) {
	p.t.Helper()
	p.until("!" + find(selector, text))
}

// click clicks such an element, once it can be clicked.
func (p *tab) click(selector, text string) {
	p.t.Helper()
	p.until(find(selector, text) + `?.matches(":enabled, :not(button, input)")`)
	p.run(chromedp.Click(chromedp.JSPath(find(selector, text))))
}

// write types into the field that matches the selector, over what is there.
func (p *tab) write(selector, text string) {
	p.t.Helper()
	p.see(selector, "")
	p.do(fmt.Sprintf(`{ const field = document.querySelector(%q); field.focus(); field.select(); }`, selector))
	p.keys(text)
}

// choose picks an option of a select.
func (p *tab) choose(selector, value string) {
	p.t.Helper()
	p.until(find(selector, "") + `?.disabled === false`)
	p.do(fmt.Sprintf(`{ const field = document.querySelector(%q); field.value = %q; field.dispatchEvent(new Event("input", {bubbles: true})); field.dispatchEvent(new Event("change", {bubbles: true})); }`, selector, value))
}

// keys presses keys one after the other.
func (p *tab) keys(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		p.run(chromedp.KeyEvent(key))
	}
}

// picture saves the page if pictures were asked for; of a list, whose foot stays at the
// bottom of the window, and of a page of very many screens, what is seen.
func (p *tab) picture(name string) {
	dir := os.Getenv(screenshotsVariable)
	if dir == "" {
		return
	}
	long, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`Boolean(document.querySelector("main .foot")) || document.documentElement.scrollHeight > 12 * innerHeight`))
	shot := chromedp.FullScreenshot(100)
	if long {
		shot = chromedp.CaptureScreenshot()
	}
	var png []byte
	if err == nil {
		png, err = chromedp.Run(p.ctx, shot)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Error("picture:", err)
	}
}
