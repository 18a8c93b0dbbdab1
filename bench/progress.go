//go:build linux

package bench

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a run is: a moving line on a terminal, a line for
// each phase elsewhere. Phases have an expected duration; the bar runs over
// the sum of all.
type progress struct {
	out      io.Writer
	bar      *progressbar.ProgressBar // nil if out is no terminal
	finished time.Duration            // expected time of the phases that ended
}

func newProgress(out io.Writer, total time.Duration) *progress {
	p := &progress{out: out}
	if out == nil {
		p.out = io.Discard
	}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions64(max(total.Milliseconds(), 1),
			progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(30),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return p
}

// phase begins one that takes about as long as expected; done ends it.
func (p *progress) phase(expected time.Duration, format string, args ...any) (done func()) {
	text := fmt.Sprintf(format, args...)
	if p.bar == nil {
		fmt.Fprintln(p.out, text)
		return func() {}
	}
	p.bar.Describe(text)
	stop := p.move(p.finished, expected)
	return func() {
		stop()
		p.finished += expected
		p.set(p.finished)
	}
}

// move lets the bar run from one point on for that long, until stop returns.
func (p *progress) move(from, length time.Duration) (stop func()) {
	quit, start := make(chan struct{}), time.Now()
	var mover sync.WaitGroup
	mover.Go(func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				p.set(from + min(time.Since(start), length))
			}
		}
	})
	return func() {
		close(quit)
		mover.Wait()
	}
}

// set moves the bar. It must not reach its end before the run does.
func (p *progress) set(at time.Duration) {
	_ = p.bar.Set64(min(at.Milliseconds(), p.bar.GetMax64()-1)) // drawing may fail; that harms nothing
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
