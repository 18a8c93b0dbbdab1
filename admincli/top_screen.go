package admincli

import (
	"context"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"cairn/adminapi"
)

// screen is the terminal while top draws on it. close gives it back.
type screen struct {
	app     *app
	out     *os.File
	picture picture
	restore func()
}

// sequences of terminals: the other screen without a cursor, and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// openScreen takes the terminal that standard output is.
func (a *app) openScreen(base string) *screen {
	s := &screen{app: a, out: a.Stdout.(*os.File), restore: func() {}}
	s.picture = picture{base: base, colour: a.Getenv("NO_COLOR") == "" && a.Getenv("TERM") != "dumb"}
	if in, ok := a.Stdin.(*os.File); ok && isTerminal(in) {
		if before, err := term.MakeRaw(int(in.Fd())); err == nil {
			s.restore = func() { _ = term.Restore(int(in.Fd()), before) }
		}
	}
	_, _ = io.WriteString(s.out, enterScreen) // draw tells of a terminal that is gone
	return s
}

func (s *screen) close() {
	_, _ = io.WriteString(s.out, leaveScreen)
	s.restore()
}

// untilQuit returns a context that ends when somebody types q or Ctrl-C, which is
// no signal while every key is read. What reads them ends with the process: a
// read of a terminal cannot be called off.
func (s *screen) untilQuit(ctx context.Context) context.Context {
	if !isTerminal(s.app.Stdin) {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		if awaitQuit(s.app.Stdin) {
			cancel()
		}
	}()
	return ctx
}

// awaitQuit reads keys until one means to quit, or until there are no more, which
// is false.
func awaitQuit(keys io.Reader) bool {
	const interrupt, endOfText = 0x03, 0x04
	key := make([]byte, 1)
	for {
		if _, err := io.ReadFull(keys, key); err != nil {
			return false
		}
		switch key[0] {
		case 'q', 'Q', interrupt, endOfText:
			return true
		}
	}
}

// draw shows one more interval.
func (s *screen) draw(now *activity, stats *adminapi.Stats) error {
	p := &s.picture
	p.history = append(p.history, *now)
	p.history = p.history[max(len(p.history)-keptActivity, 0):]
	p.stats, p.trouble = stats, s.app.trouble(stats)
	var err error
	if p.width, p.height, err = term.GetSize(int(s.out.Fd())); err != nil || p.width < 1 {
		p.width, p.height = 80, 24
	}
	_, err = io.WriteString(s.out, toTop+strings.Join(p.lines(), clearLine+"\r\n")+clearLine+clearBelow)
	return err
}
