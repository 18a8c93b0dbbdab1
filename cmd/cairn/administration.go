package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"cairn/admincli"
	"cairn/engine"
)

// administration returns the commands that administer a server or its files.
func (p *program) administration() []*cobra.Command {
	return admincli.Commands(admincli.Environment{
		Stdin:  os.Stdin,
		Stdout: p.stdout,
		Stderr: p.stderr,
		Getenv: p.getenv,
		Check: func(dir string, report func(admincli.CheckProblem)) error {
			return engine.Check(engine.Options{Dir: dir}, func(p engine.Problem) { report(admincli.CheckProblem(p)) })
		},
		Salvage: salvage,
	})
}

// getenv returns a variable of the program's environment, "" if it is not set.
func (p *program) getenv(name string) string {
	for _, entry := range p.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// salvage is what the command of that name does.
func salvage(ctx context.Context, job *admincli.SalvageJob) (admincli.SalvageResult, error) {
	got, err := engine.Salvage(ctx, engine.SalvageOptions{
		From: engine.Options{Dir: job.From}, To: job.To, Scratch: job.Scratch, Uncertain: job.Uncertain,
		Problem: job.Problem, Lost: job.Lost,
	})
	return admincli.SalvageResult(got), err
}
