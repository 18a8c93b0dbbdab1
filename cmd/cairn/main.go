// Command cairn is a durable session store that speaks memcached's protocols.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/admincli"
)

// Exit codes of the program. Commands that administer a server have more; see
// package admincli.
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
	p := &program{args: args, environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr, slacken: slacken}
	os.Exit(p.run(context.Background()))
}

// calledMemcached reports whether the program was started through a link with
// memcached's name, and takes memcached's command line.
func calledMemcached() bool { return filepath.Base(os.Args[0]) == "memcached" }

// run carries out the arguments until it is done or ctx ends, and returns the exit
// code.
func (p *program) run(ctx context.Context) int {
	root := p.commands()
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(p.stderr, "cairn:", withoutPackages(err.Error()))
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		if coded.ExitCode() == exitUsage {
			fmt.Fprintln(p.stderr, "Run 'cairn help', or 'cairn COMMAND --help', for the commands and flags.")
		}
		return coded.ExitCode()
	}
	return exitFailure
}

// packageName is what begins the error of a package, and says nothing to whoever runs
// the program.
var packageName = regexp.MustCompile(`(^|: |\n)(?:(?:engine|serve|peer|membership|raftlog|snapshot|tlsconfig|takeover|httpapi|memcachedfront|migrate|pebble): )+`)

// withoutPackages is the text of an error for people.
func withoutPackages(text string) string { return packageName.ReplaceAllString(text, "$1") }

// program is one run of the program: what it was given and where it writes.
type program struct {
	args, environ  []string
	stdout, stderr io.Writer

	slacken func(slack time.Duration, environ []string) // nil: timers are left alone
}

func (p *program) commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "cairn",
		Short:         "A durable session store that speaks memcached's protocols",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
	}
	showVersion := root.Flags().BoolP("version", "V", false, "print the version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *showVersion:
			return printVersion(p.stdout, "text", false)
		case len(args) > 0:
			return unknownCommand(cmd, args[0])
		}
		return cmd.Help()
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	server := &cobra.Group{ID: "server", Title: "The server:"}
	root.AddGroup(append([]*cobra.Group{server}, admincli.Groups()...)...)
	for _, cmd := range []*cobra.Command{p.serveCommand(), p.configCommand(), p.rulesCommand(), p.doctorCommand(), p.sizeCommand(), p.alertsCommand()} {
		cmd.GroupID = server.ID
		root.AddCommand(cmd)
	}
	root.AddCommand(p.administration()...)
	root.AddCommand(p.versionCommand(), p.benchCommand())
	return root
}

// unknownCommand names commands that resemble what was written.
func unknownCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if like := root.SuggestionsFor(name); len(like) > 0 {
		return usageError{fmt.Errorf("unknown command %q; did you mean %s?", name, strings.Join(like, " or "))}
	}
	return usageError{fmt.Errorf("unknown command %q", name)}
}

// noArguments refuses what stands on the command line besides flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument %q", cmd.Name(), args[0])}
	}
	return nil
}

// arguments refuses fewer or more than that on the command line, besides flags.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("wrong arguments; usage: %s", cmd.UseLine())}
		}
		return nil
	}
}

// usageError is the fault of whoever wrote the command line, the environment
// or the configuration file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// ExitCode is what the program returns to its shell.
func (e usageError) ExitCode() int { return exitUsage }

// exitCode ends the program with that code; everything is said already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
