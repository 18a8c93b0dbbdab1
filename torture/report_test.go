package torture

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var outDir = flag.String("out", "out", "folder for what the long form leaves behind: figures and plots")

// done is what the tests did, as the long form reports it.
var done struct {
	mu      sync.Mutex
	figures []string // rows of a table
	plots   []string // names of files in outDir
}

// figures logs what a test did, for docs/reliability.md.
func figures(t testing.TB, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Logf("figures: %s: %s", t.Name(), text)
	done.mu.Lock()
	defer done.mu.Unlock()
	done.figures = append(done.figures, fmt.Sprintf("| `%s` | %s |", t.Name(), text))
}

// plotted notes a plot in outDir.
func plotted(name string) {
	done.mu.Lock()
	defer done.mu.Unlock()
	done.plots = append(done.plots, name)
}

// report writes what the long form did, in Markdown, to w and to a file.
func report(w io.Writer, code int, took time.Duration) error {
	done.mu.Lock()
	defer done.mu.Unlock()
	var b bytes.Buffer
	outcome := "Everything passed"
	if code != 0 {
		outcome = "Something FAILED"
	}
	fmt.Fprintf(&b, "%s. %s in %v, scale %v, race detector %t; %s, %d processors, %s.\n\n", outcome,
		time.Now().UTC().Format(time.DateOnly), took.Round(time.Second), scale, raceDetector,
		runtime.Version(), runtime.NumCPU(), runtime.GOARCH)
	fmt.Fprintln(&b, "| Test | What it went through |\n|---|---|")
	slices.Sort(done.figures)
	fmt.Fprintln(&b, strings.Join(done.figures, "\n"))
	if err := os.MkdirAll(*outDir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(*outDir, "figures.md")
	fmt.Fprintf(w, "\n%s\nin %s\n", b.Bytes(), path)
	fmt.Fprintln(&b)
	for _, name := range done.plots {
		fmt.Fprintf(&b, "![%s](%s)\n", strings.TrimSuffix(name, filepath.Ext(name)), name)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
