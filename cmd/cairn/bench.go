package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// benchProgram measures Cairn beside other servers. It is a program of its own,
// so that a server does not carry what only a benchmark needs.
const benchProgram = "cairn-bench"

// errNoBench says how to get the program that is not there.
var errNoBench = errors.New("bench: the program cairn-bench is neither beside cairn nor in PATH: " +
	"install the package cairn-bench, or run 'make bench-program' in the source and put bin/cairn-bench there")

func (p *program) benchCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "bench [FLAG]...",
		Short:              "Compare Cairn with other servers on this machine, if cairn-bench is installed",
		DisableFlagParsing: true, // they are the program's
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := findBench()
			if err != nil {
				return err
			}
			return p.runBench(cmd, path, args)
		},
	}
}

// findBench looks for the program beside this one, and then in PATH.
func findBench() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, place := range []string{filepath.Join(filepath.Dir(self), benchProgram), benchProgram} {
		if path, err := exec.LookPath(place); err == nil {
			return path, nil
		}
	}
	return "", errNoBench
}

// runBench runs the program to its end and passes on its exit code. A signal
// that would end this program ends both.
func (p *program) runBench(cmd *cobra.Command, path string, args []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	child := exec.CommandContext(ctx, path, args...)
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, p.stdout, p.stderr
	child.Env = p.environ
	err := child.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) && failed.Exited() {
		return exitCode(failed.ExitCode())
	}
	return err
}
