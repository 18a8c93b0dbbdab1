package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/freeport"
)

// process is a program under the test's control. Its output goes to a file,
// whose end is shown if the test fails.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  string
	in   io.WriteCloser
	line *bufio.Reader // standard output of a dialogue; nil otherwise

	done  chan struct{}    // closed when the program has ended
	state *os.ProcessState // valid then
}

// startProcess runs a program in the folder of this package, with environ
// added to the environment.
func startProcess(t *testing.T, environ []string, name string, args ...string) *process {
	t.Helper()
	p := newProcess(t, environ, name, args...)
	p.launch()
	return p
}

// startDialogue runs a program that answers every line of standard input with
// one line of standard output; see ask.
func startDialogue(t *testing.T, environ []string, name string, args ...string) *process {
	t.Helper()
	p := newProcess(t, environ, name, args...)
	p.cmd.Stdout = nil
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	p.line = bufio.NewReader(out)
	p.launch()
	return p
}

func newProcess(t *testing.T, environ []string, name string, args ...string) *process {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), filepath.Base(name)+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = out, out
	return &process{t: t, cmd: cmd, out: out.Name(), done: make(chan struct{})}
}

func (p *process) launch() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		p.state, _ = p.cmd.Process.Wait()
		close(p.done)
	}()
	p.t.Cleanup(p.end)
}

// end makes sure the program is gone, and shows what it said if the test
// failed.
func (p *process) end() {
	p.signal(syscall.SIGKILL)
	<-p.done
	if p.t.Failed() {
		said, _ := os.ReadFile(p.out)
		p.t.Logf("%s said:\n%s", filepath.Base(p.cmd.Path), tail(string(said), 60))
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.running() {
		p.cmd.Process.Signal(s)
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// wait returns how the program ended.
func (p *process) wait() *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.done:
		return p.state
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.cmd.Path)
		return nil
	}
}

// awaitPort waits until something listens on addr.
func (p *process) awaitPort(addr string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		if !p.running() {
			p.t.Fatalf("%s ended with %v before it listened on %s", p.cmd.Path, p.state, addr)
		}
	}
	p.t.Fatalf("%s does not listen on %s", p.cmd.Path, addr)
}

// ask says one line to a dialogue and gives its answer.
func (p *process) ask(format string, args ...any) string {
	p.t.Helper()
	question := fmt.Sprintf(format, args...)
	if _, err := io.WriteString(p.in, question+"\n"); err != nil {
		p.t.Fatalf("%s was asked %q: %v", p.cmd.Path, question, err)
	}
	answer, err := p.line.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s was asked %q and answered %q: %v", p.cmd.Path, question, answer, err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// freeAddress returns a loopback address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// absolute is the full path of a file in this package's folder.
func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}
