// Command cairn is a durable session store that speaks memcached's protocols.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// Exit codes of the program.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	args := os.Args[1:]
	if calledMemcached() {
		args = append([]string{"serve"}, args...)
	}
	os.Exit(run(context.Background(), args, os.Environ(), os.Stdout, os.Stderr))
}

// calledMemcached reports whether the program was started through a link with
// memcached's name, and takes memcached's command line.
func calledMemcached() bool { return filepath.Base(os.Args[0]) == "memcached" }

// run is the whole program: it carries out args until it is done or ctx ends,
// and gives the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	p := &program{args: args, environ: environ, stdout: stdout, stderr: stderr}
	root := p.commands()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(stderr, "cairn:", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, "Run 'cairn help' or 'cairn serve --help' for what can be said.")
		return exitUsage
	}
	return exitFailure
}

// program is one run of the program: what it was given and where it writes.
type program struct {
	args, environ  []string
	stdout, stderr io.Writer
}

func (p *program) commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "cairn",
		Short:         "A durable session store that speaks memcached's protocols",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(p.serveCommand(), p.configCommand(), p.rulesCommand(), p.versionCommand(), p.benchCommand())
	root.AddCommand(p.administration()...)
	return root
}

// noArguments refuses what stands on the command line besides flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument %q", cmd.Name(), args[0])}
	}
	return nil
}

// usageError is the fault of whoever wrote the command line, the environment
// or the configuration file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode ends the program with that code; everything is said already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
