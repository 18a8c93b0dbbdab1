package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cairn/cmd/cairn/config"
	"cairn/systemd"
)

func (p *program) serveCommand() *cobra.Command {
	var showVersion, showLicense bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. Every flag can also stand in the environment, as CAIRN_<NAME>, and in\n" +
			"the file given by --config; a flag wins over the environment, that over the file.\n" +
			"Called by the name memcached, cairn takes the same flags without the word serve.",
		Args: noArguments,
	}
	cfg, load := p.configure(cmd)
	cmd.Flags().BoolVarP(&showVersion, "version", "V", false, "print the version")
	cmd.Flags().BoolVarP(&showLicense, "license", "i", false, "print the version and the libraries built in")
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		others := pflag.NewFlagSet("others", pflag.ContinueOnError)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if cfg.Flags().Lookup(f.Name) == nil {
				others.AddFlag(f)
			}
		})
		_, err := fmt.Fprintf(p.stdout, "Usage:\n  cairn serve [flags]\n\n%sOther:\n%s", cfg.Usage(), others.FlagUsages())
		return err
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if showVersion || showLicense {
			printVersion(p.stdout, showLicense)
			return nil
		}
		if err := load(); err != nil {
			return err
		}
		if cfg.Daemon && !inBackground(p.environ) {
			return exitCode(startDaemon(p.args, p.environ, p.stderr))
		}
		return p.serve(cmd.Context(), cfg)
	}
	return cmd
}

// serve runs a server as cfg says until ctx ends or a signal or a client stops
// it. Whatever it started has ended when it returns.
func (p *program) serve(ctx context.Context, cfg *config.Config) error {
	logger, level, file, err := newLogger(cfg, p.stderr)
	if err != nil {
		return err
	}
	reloads := &reloader{logger: logger}
	if file != nil {
		defer file.Close()
		reloads.add("log file", file.Reopen)
	}
	for _, warning := range cfg.Warnings {
		logger.Warn(warning)
	}
	removePID, err := writePIDFile(cfg.PIDFile)
	if err != nil {
		return err
	}
	defer removePID()
	if err := prepareProcess(cfg, logger); err != nil {
		return err
	}
	ctx, stop := handleSignals(ctx, reloads)
	defer stop()

	s := &server{cfg: cfg, logger: logger, level: level, reloads: reloads, stop: stop}
	if err := s.open(); err != nil {
		return errors.Join(err, s.close())
	}
	s.serve()
	s.notify(systemd.Ready)
	watch := s.keepAlive(ctx)
	defer watch.Wait()
	if err := detach(p.environ, cfg.LogFile); err != nil {
		stop()
		return errors.Join(err, s.shutdown())
	}
	<-ctx.Done()
	s.notify(systemd.Stopping)
	return s.shutdown()
}
