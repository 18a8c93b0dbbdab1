package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"cairn/admincli"
	"cairn/engine"
)

// administration gives the commands that administer a server or its files.
func (p *program) administration() []*cobra.Command {
	return admincli.Commands(admincli.Environment{
		Stdin:  os.Stdin,
		Stdout: p.stdout,
		Stderr: p.stderr,
		Getenv: p.getenv,
		Check: func(dir string, report func(problem string)) error {
			return engine.Check(engine.Options{Dir: dir}, report)
		},
	})
}

// getenv gives a variable of the program's environment, "" if it is not set.
func (p *program) getenv(name string) string {
	for _, entry := range p.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
