package admincli

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows on a terminal how far a command is; elsewhere it is silent.
type progress struct {
	bar *progressbar.ProgressBar // nil: silent
	out io.Writer
}

// newProgress counts up to total of something, or of an unknown number if
// total is negative. inBytes says that it is bytes.
func (a *app) newProgress(what string, total int64, inBytes bool) *progress {
	if !isTerminal(a.Stderr) {
		return &progress{}
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(a.Stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(inBytes),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionFullWidth(),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionSpinnerType(14),
	}
	if !inBytes {
		options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString("sessions"))
	}
	return &progress{bar: progressbar.NewOptions64(total, options...), out: a.Stderr}
}

// newSpinner shows that a command works, with the time it has taken, until
// stop is called.
func (a *app) newSpinner(what string) (stop func()) {
	if !isTerminal(a.Stderr) {
		return func() {}
	}
	p := &progress{out: a.Stderr, bar: progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(a.Stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSpinnerType(14),
	)}
	return p.tick()
}

// add counts n more.
func (p *progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n) // it is only a picture
	}
}

// setTotal corrects the total.
func (p *progress) setTotal(total int64) {
	if p.bar != nil && total > 0 && p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
}

// end leaves the picture as it is and goes on below it.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit()
		_, _ = io.WriteString(p.out, "\n")
		p.bar = nil
	}
}

// reader counts the bytes read from r.
func (p *progress) reader(r io.Reader) io.Reader { return countedReader{r, p} }

type countedReader struct {
	io.Reader
	progress *progress
}

func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.progress.add(n)
	return n, err
}

// tick lets a progress of unknown length move until stop is called, which
// waits for it.
func (p *progress) tick() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.add(1)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		p.end()
	}
}
