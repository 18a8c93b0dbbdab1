package admincli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// Exit codes of the commands, besides 0 for success. docs/http-api.md has them.
const (
	codeFailed      = 1
	codeUsage       = 2
	codeNotFound    = 3
	codeUnreachable = 4
	codeRefused     = 5
	codeCancelled   = 130 // as shells report SIGINT
)

// fault is an error in the operator's words that determines the exit code.
type fault struct {
	error
	code int
}

func (f fault) Unwrap() error { return f.error }

// ExitCode is what the program returns to its shell.
func (f fault) ExitCode() int { return f.code }

// ErrCancelled is the fault of a command that a signal has ended.
var ErrCancelled error = fault{errors.New("cancelled"), codeCancelled}

// usagef is the fault of whoever wrote the command line.
func usagef(format string, args ...any) error { return fault{fmt.Errorf(format, args...), codeUsage} }

// checked makes cmd and the commands below it say how they are used if their arguments
// are wrong.
func checked(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		checked(sub)
	}
	if !cmd.Runnable() && cmd.HasSubCommands() {
		cmd.Args, cmd.RunE, cmd.DisableFlagsInUseLine = cobra.ArbitraryArgs, onlyCommands, true
		return
	}
	check := cmd.Args
	if check == nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			path := strings.TrimSuffix(cmd.CommandPath(), cmd.Name())
			return usagef("wrong arguments; usage: %s%s", path, cmd.Use)
		}
		return nil
	}
}

// onlyCommands is what a command does that has commands and does nothing by itself.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	cmd.SuggestionsMinimumDistance = 2
	path := cmd.CommandPath()
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return usagef("unknown command %q; did you mean %s %s?", path+" "+args[0], path, strings.Join(like, " or "))
	}
	return usagef("unknown command %q; '%s --help' lists those that there are", path+" "+args[0], path)
}

// explain turns what a library says into what the operator can act upon.
func (a *app) explain(err error) error {
	var p *adminapi.Problem
	var dial *url.Error
	switch {
	case err == nil || errors.As(err, new(fault)):
		return err
	case errors.Is(err, context.Canceled):
		return ErrCancelled
	case errors.As(err, &p):
		return a.explainProblem(p, err)
	case errors.As(err, &dial):
		return fault{a.unreachable(dial), codeUnreachable}
	}
	return err
}

func (a *app) explainProblem(p *adminapi.Problem, err error) error {
	switch p.Status {
	case http.StatusUnauthorized:
		if token, _ := a.token(); token != "" {
			return fault{fmt.Errorf("the server does not know this token (from %s)", a.tokenSource()), codeRefused}
		}
		return fault{errors.New("the server wants a token: put it into " + tokenVariable + ", or name its file with --token-file"), codeRefused}
	case http.StatusForbidden, http.StatusTooManyRequests:
		return fault{err, codeRefused}
	case http.StatusNotFound:
		return fault{err, codeNotFound}
	}
	return err
}

func (a *app) tokenSource() string {
	c, err := a.chosen()
	if err != nil {
		return tokenVariable
	}
	return cmp.Or(c.TokenFile, tokenVariable)
}

// unreachable says what keeps the client from the server.
func (a *app) unreachable(err *url.Error) error {
	cause := err.Err
	var op *net.OpError
	if errors.As(cause, &op) {
		cause = op.Err
	}
	return fmt.Errorf("cannot reach Cairn at %s: %w; does it run, and is this its --http-listen? --url names another address", a.base(), cause)
}

// worst is the exit code of what failed for several reasons: that of all, if
// they agree, else codeFailed.
func worst(codes []int) int {
	for _, code := range codes {
		if code != codes[0] {
			return codeFailed
		}
	}
	return codes[0]
}

// codeOf returns the exit code that err determines.
func codeOf(err error) int {
	var f fault
	if errors.As(err, &f) {
		return f.code
	}
	return codeFailed
}
