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

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screenshotsVariable names a directory that gets a picture of every view.
const screenshotsVariable = "CAIRN_SCREENSHOTS"

// patience bounds each wait for the page, also on a loaded machine.
const patience = 60 * time.Second

// chromium is the one Chromium that all tests share, each with a profile of its
// own.
var chromium struct {
	sync.Once
	ctx  context.Context
	stop func()
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(code)
}

func startBrowser() {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(patience))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	chromium.ctx = ctx
	chromium.stop = func() { stopBrowser(); stopAllocator() }
	chromium.err = chromedp.Run(ctx)
}

// tab is one page of the console in a fresh profile. Whatever the page
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
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	p := &tab{t: t, ctx: ctx, url: url}
	chromedp.ListenTarget(ctx, p.listen)
	t.Cleanup(func() {
		if t.Failed() {
			p.picture("failed-" + t.Name())
		}
		cancel()
		p.check()
	})
	p.run(log.Enable(), runtime.Enable(), emulation.SetTimezoneOverride("UTC"))
	return p
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
		p.complain("exception: " + event.ExceptionDetails.Error())
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

func (p *tab) run(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// size sets the window, of a phone if it is narrow.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.run(emulation.SetDeviceMetricsOverride(width, height, 2, width < 600))
}

// scheme makes the system prefer "light" or "dark".
func (p *tab) scheme(name string) {
	p.t.Helper()
	p.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
}

// open goes to a view, such as "#/sessions".
func (p *tab) open(hash string) {
	p.t.Helper()
	p.run(chromedp.Navigate(p.url+"/"+hash), chromedp.WaitVisible("main > *"))
}

// see waits until an element that matches the selector shows the text.
func (p *tab) see(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.innerText.includes(%q))`, selector, text))
}

// gone waits until no visible element matches the selector and has the text.
func (p *tab) gone(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`![...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.innerText.includes(%q))`, selector, text))
}

// until waits for a JavaScript expression to become true.
func (p *tab) until(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Run(ctx, chromedp.Poll(expression, nil, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0)))
	if err != nil {
		var seen string
		_ = chromedp.Run(p.ctx, chromedp.Evaluate("document.body.innerText", &seen))
		p.t.Fatalf("never true: %s (%v)\nThe page shows:\n%s", expression, err, seen)
	}
}

// eval gives the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	var value T
	p.run(chromedp.Evaluate(expression, &value, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	return value
}

// click clicks what matches the selector and has the text.
func (p *tab) click(selector, text string) {
	p.t.Helper()
	p.see(selector, text)
	find := fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => e.checkVisibility() && e.innerText.includes(%q))`, selector, text)
	p.until(find + `?.disabled !== true`)
	p.run(chromedp.Click(find, chromedp.ByJSPath))
}

// write types into the field that matches the selector, over what is there.
func (p *tab) write(selector, text string) {
	p.t.Helper()
	p.run(chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.Focus(selector, chromedp.ByQuery),
		chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).select?.()`, selector), nil), chromedp.KeyEvent(text))
}

// keys presses keys one after the other.
func (p *tab) keys(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		p.run(chromedp.KeyEvent(key))
	}
}

// picture saves what the tab shows if pictures were asked for.
func (p *tab) picture(name string) {
	dir := os.Getenv(screenshotsVariable)
	if dir == "" {
		return
	}
	var png []byte
	err := chromedp.Run(p.ctx, chromedp.FullScreenshot(&png, 100))
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
