package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"cairn/cmd/cairn/config"
	"cairn/httpapi"
	"cairn/memcachedfront"
)

// configure binds the settings of cmd and gives what completes them from the
// environment and the file, once cmd runs.
func (p *program) configure(cmd *cobra.Command) (cfg *config.Config, load func() error) {
	cfg = config.New()
	cmd.Flags().SetNormalizeFunc(cfg.Flags().GetNormalizeFunc())
	cmd.Flags().AddFlagSet(cfg.Flags())
	return cfg, func() error {
		if err := cfg.Load(p.environ); err != nil {
			return usageError{err}
		}
		return nil
	}
}

func (p *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config [flags of serve]",
		Short: "Print the configuration that serve would use with the same flags, environment and file",
		Long: "Print a configuration file with every setting explained. Without flags, that is the\n" +
			"default configuration. With flags, an environment or --config, it checks them and\n" +
			"prints what serve would run with, and where each value comes from.",
		Example: "  cairn config >cairn.yaml\n" +
			"  cairn config --config /etc/cairn/cairn.yaml -m 1024",
		Args: noArguments,
	}
	cfg, load := p.configure(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := load(); err != nil {
			return err
		}
		return cfg.WriteYAML(p.stdout)
	}
	cmd.AddCommand(p.validateCommand())
	return cmd
}

// validateCommand checks a configuration and the files that it names.
func (p *program) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [flags of serve]",
		Short: "Check a configuration and every file that it names, without starting anything",
		Long: "Check what serve would be told by the same flags, environment and file: names and values of settings, what\n" +
			"goes with what, and the files they name: certificates and keys, users, tokens, rules for sessions, the\n" +
			"upstream's password. Nothing is opened, bound or changed. Fails with exit code 2 if serve would not start.",
		Example: "  cairn config validate --config /etc/cairn/cairn.yaml && systemctl reload cairn",
		Args:    noArguments,
	}
	cfg, load := p.configure(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := load(); err != nil {
			return err
		}
		for _, warning := range cfg.Warnings {
			fmt.Fprintln(p.stderr, "warning:", warning)
		}
		if err := checkFiles(cfg); err != nil {
			return usageError{err}
		}
		_, err := fmt.Fprintln(p.stdout, "the configuration is valid")
		return err
	}
	return cmd
}

// checkFiles reads every file that the configuration names, as serve would.
func checkFiles(cfg *config.Config) error {
	logger := slog.New(slog.DiscardHandler)
	s := &server{cfg: cfg, logger: logger, reloads: &reloader{logger: logger}}
	var front memcachedfront.Options
	errs := []error{s.secure(&front), s.guard(&front)}
	if cfg.HTTP() {
		_, err := s.httpCertificates()
		errs = append(errs, err, httpapi.CheckTokens(s.httpTokens()))
	}
	if len(cfg.Upstream) > 0 {
		_, err := s.upstreamOptions()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
