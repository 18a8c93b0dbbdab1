package admincli

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows on a terminal how far a command is; elsewhere it is silent.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress counts up to total of something, or of an unknown number if
// total is negative. inBytes says that it is bytes.
func (a *app) newProgress(what string, total int64, inBytes bool) *progress {
	if !isTerminal(a.Stderr) {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.Stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(inBytes),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionFullWidth(),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSpinnerType(14),
	)}
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
