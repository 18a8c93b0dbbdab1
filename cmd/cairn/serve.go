package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cairn/cluster/proxy"
	"cairn/cmd/cairn/config"
	"cairn/systemd"
)

func (p *program) serveCommand() *cobra.Command {
	var showVersion, showLicense, takeOver bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. Every flag can also be set in the environment, as CAIRN_<NAME>, and in\n" +
			"the file of --config; a flag overrides the environment, which overrides the file.\n" +
			"Called by the name memcached, cairn takes the same flags without the word serve.\n\n" +
			"SIGHUP reads certificates, users and tokens again and reopens the log file. SIGUSR2 starts\n" +
			"this program anew with the same arguments and --takeover: an upgrade that closes no\n" +
			"connection. SIGTERM and SIGINT stop the server when what clients have begun is finished.",
		Example: "  cairn serve\n" +
			"  cairn serve --config /etc/cairn/cairn.yaml\n" +
			"  cairn serve -l 0.0.0.0 -m 1024 --data-dir /var/lib/cairn --auth-file /etc/cairn/users",
		Args: noArguments,
	}
	cfg, load := p.configure(cmd)
	cmd.Flags().BoolVarP(&showVersion, "version", "V", false, "print the version")
	cmd.Flags().BoolVarP(&showLicense, "license", "i", false, "print the version and the libraries built in")
	cmd.Flags().BoolVar(&takeOver, "takeover", false,
		"take the place of the server that runs on the same data directory without closing its connections; start as usual if none runs")
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		others := pflag.NewFlagSet("others", pflag.ContinueOnError)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if cfg.Flags().Lookup(f.Name) == nil {
				others.AddFlag(f)
			}
		})
		_, err := fmt.Fprintf(p.stdout, "Usage:\n  cairn serve [flags]\n\nExamples:\n%s\n\n%sOther:\n%s", cmd.Example, cfg.Usage(), others.FlagUsages())
		return err
	})
	if help := cmd.HelpFunc(); calledMemcached() { // as memcached's help begins
		cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
			_ = printVersion(p.stdout, "text", false)
			help(cmd, args)
		})
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if showVersion || showLicense {
			return printVersion(p.stdout, "text", showLicense)
		}
		if err := load(); err != nil {
			return err
		}
		if cfg.Daemon && !inBackground(p.environ) {
			return exitCode(startDaemon(p.args, p.environ, p.stderr, takeOver))
		}
		if p.slacken != nil && !cfg.Proxy() { // which syncs nothing, and is to start fast
			p.slacken(cfg.TimerSlack, p.environ)
		}
		return p.serve(cmd.Context(), cfg, takeOver)
	}
	return cmd
}

// serve runs a server as cfg says until ctx ends, a signal or a client stops it,
// or another process takes it over. Whatever it started has ended when it
// returns.
func (p *program) serve(ctx context.Context, cfg *config.Config, takeOver bool) error {
	logger, level, file, err := newLogger(cfg, p.stderr)
	if err != nil {
		return err
	}
	reloads := &reloader{logger: logger}
	if file != nil {
		defer file.Close()
		reloads.add("log file", file.Reopen)
	}
	if cfg.OwnLog {
		fmt.Fprintln(p.stderr, "cairn: the log is in", cfg.LogFile)
	}
	announce(cfg, p.getenv("HOME"), logger)
	for _, warning := range cfg.Warnings {
		logger.Warn(warning)
	}
	reloads.add("session rules", cfg.Rules.Reload)
	pid, err := openPIDFile(cfg.PIDFile, takeOver, logger)
	if err != nil {
		return err
	}
	defer pid.close()
	if err := prepareProcess(cfg, logger); err != nil {
		return err
	}
	plan := planMemory(cfg, p.getenv("GOMEMLIMIT"), p.getenv("GOGC"), logger)
	sockets, err := givenSockets()
	if err != nil {
		return err
	}
	successor := &successor{program: p, logger: logger}
	ctx, stop := handleSignals(ctx, logger, reloads.reload, successor.start)
	defer stop()

	s := &server{cfg: cfg, memory: plan, logger: logger, level: level, reloads: reloads, stop: stop,
		sockets: sockets, store: newStore(keepAlone, storeOptions(cfg, plan, logger), cfg.Rules, cfg.ConnLimit/2)}
	if cfg.Clustered() {
		if s.store.keep, err = s.keepTogether(ctx); err != nil {
			return err
		}
		if err := s.store.share(); err != nil {
			return err
		}
	}
	if cfg.Proxy() {
		if s.store.keep, err = s.keepElsewhere(); err != nil {
			return err
		}
		if err := s.store.share(); err != nil {
			return err
		}
		s.store.declared = (*proxy.Proxy)(nil)
	}
	if len(cfg.Upstream) > 0 {
		o, err := s.upstreamOptions()
		if err != nil {
			return err
		}
		s.store.moveFrom(o)
	}
	if err := s.begin(ctx, takeOver); err != nil {
		if stoppedBeforeBegin(ctx, cfg, err) {
			logger.Info("stopped before the cluster has begun")
			err = nil
		}
		return errors.Join(err, s.close())
	}
	return s.live(ctx, pid, p.environ)
}

// live serves until ctx ends or another process takes over, and ends the server.
func (s *server) live(ctx context.Context, pid *pidFile, environ []string) error {
	if err := pid.write(); err != nil {
		s.logger.Warn("the pid file cannot be written", "error", err)
	}
	s.serve()
	s.notify(systemd.Ready)
	watch := s.keepAlive(ctx)
	defer watch.Wait()
	defer s.stop()
	if err := detach(environ, s.cfg); err != nil {
		return errors.Join(err, s.shutdown())
	}
	given, err := s.await(ctx)
	if given {
		pid.leave()
		return s.leave()
	}
	s.notify(systemd.Stopping)
	return errors.Join(err, s.shutdown())
}

// begin makes the server ready to serve, alone or in the place of another.
func (s *server) begin(ctx context.Context, takeOver bool) error {
	if takeOver {
		return s.takeOver(ctx)
	}
	return s.open()
}

// givenSockets returns what the service manager opened for this process.
func givenSockets() (*sockets, error) {
	given, err := systemd.Listeners()
	if err != nil {
		return nil, err
	}
	return newSockets(given)
}
