// Package admincli is Cairn's administration from a shell: commands that speak
// to the HTTP API of a running server, and a few that work on files.
//
// Every command that prints something prints a table for people, or with
// --output json the API's own JSON for programs.
package admincli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Environment is what the commands get from the program they are part of.
type Environment struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(name string) string

	// Check verifies the store in a directory that no process has open, and
	// calls report for each problem.
	Check func(dir string, report func(CheckProblem)) error

	// Salvage copies what can be read of a damaged store into a new one.
	Salvage func(ctx context.Context, job *SalvageJob) (SalvageResult, error)
}

// Commands makes the commands, to be added to the program's root, which has
// Groups.
func Commands(env Environment) []*cobra.Command {
	a := &app{Environment: env}
	online := []*cobra.Command{
		a.lsCommand(), a.showCommand(), a.rmCommand(), a.touchCommand(),
		a.statsCommand(), a.topCommand(), a.watchCommand(), a.forecastCommand(), a.analyzeCommand(),
		a.connectionsCommand(), a.flushCommand(), a.logLevelCommand(),
		a.backupCommand(), a.exportCommand(), a.importCommand(),
		a.pingCommand(), a.getCommand(), a.setCommand(), a.upstreamCommand(), a.clusterCommand(), a.ownersCommand(), a.undoCommand(),
		a.reloadCommand(), a.stopCommand(), a.contextCommand(),
	}
	for _, cmd := range online {
		a.addServerFlags(cmd)
	}
	all := append(online, a.restoreCommand(), a.salvageCommand(), a.manCommand())
	for _, cmd := range all {
		a.addOutputFlag(cmd)
		a.endWithSignals(cmd)
	}
	all = append(all, a.checkCommand()) // only reads: a signal may end it as it is
	a.addOutputFlag(all[len(all)-1])
	for _, cmd := range all {
		checked(cmd)
		addHelp(cmd)
	}
	return all
}

// endWithSignals lets SIGINT and SIGTERM end the context of a command, so that
// it leaves nothing half done behind.
func (a *app) endWithSignals(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			cmd.SetContext(ctx)
			return a.explain(run(cmd, args))
		}
	}
	for _, sub := range cmd.Commands() {
		a.endWithSignals(sub)
	}
}

// app is what the commands share.
type app struct {
	Environment
	server serverFlags
	output string // "table" or "json"
}

func (a *app) addOutputFlag(cmd *cobra.Command) {
	if cmd.Flags().Lookup("output") != nil || cmd.Name() == "man" {
		return
	}
	cmd.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "`form` of what is printed: table or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	check := func(cmd *cobra.Command, _ []string) error {
		if a.output != "table" && a.output != "json" {
			return usagef("--output must be table or json, not %q", a.output)
		}
		return nil
	}
	cmd.PersistentPreRunE = check
}

func (a *app) json() bool { return a.output == "json" }

// isTerminal reports whether people see what is written to or type what is
// read from stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// errDeclined says that someone answered a question with no.
var errDeclined = errors.New("nothing was changed")

// confirm asks before a change that cannot be undone. Without a terminal the
// flag --yes has to say it.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(a.Stdin) {
		return usagef("say --yes to confirm: %s", question)
	}
	fmt.Fprintf(a.Stderr, "%s Type yes: ", question)
	var answer string
	if _, err := fmt.Fscanln(a.Stdin, &answer); err != nil || answer != "yes" {
		return errDeclined
	}
	return nil
}
