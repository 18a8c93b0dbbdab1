package main

import (
	"github.com/spf13/cobra"

	"cairn/cmd/cairn/config"
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
		Short: "Print the configuration that the same flags, environment and file give to serve",
		Long: "Print a configuration file with every setting explained. Without flags, that is the\n" +
			"default configuration. With flags, an environment or --config, it checks them and\n" +
			"prints what serve would run with, and where each value comes from.",
		Args: noArguments,
	}
	cfg, load := p.configure(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := load(); err != nil {
			return err
		}
		return cfg.WriteYAML(p.stdout)
	}
	return cmd
}
