// Package built gives tests the programs of this repository as files. Go's build cache
// keeps what it links for `go run`: packages whose tests need the same program, built in
// the same way, share one link.
package built

import (
	"fmt"
	"os"
	"os/exec"
)

// Program is a program, and how it is built.
type Program struct {
	Package string   // such as cairn/cmd/cairn, or a path from Dir
	Dir     string   // in the module that it belongs to; "": this directory
	Flags   []string // of go build
	Static  bool     // without cgo, as releases are
}

// To puts the program at path. Like those of releases it has no symbols for debuggers.
func (p Program) To(path string) error {
	args := append([]string{"run", "-exec", "cp"}, p.Flags...)
	run := exec.Command("go", append(args, p.Package, path)...)
	run.Dir, run.Env = p.Dir, os.Environ()
	if p.Static {
		run.Env = append(run.Env, "CGO_ENABLED=0")
	}
	if words, err := run.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", p.Package, err, words)
	}
	return nil
}
