package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cairn/admincli"
	"cairn/cmd/cairn/config"
	"cairn/doctor"
	"cairn/engine"
	"cairn/memory"
)

// manyAtOnce is how many clients may well connect in the same moment, after a
// deployment for one.
const manyAtOnce = 1024

// doctorCommand looks at what the server depends on.
func (p *program) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [flags of serve]",
		Short: "Look at what the server depends on: disk, clock, limits, memory, files",
		Long: "Measure how long the disk takes to make a write durable, and look at free space, limits,\n" +
			"memory, the clock, certificates, and files that others must not read, for a server with\n" +
			"the same flags, environment and file. It may run beside the server. Fails if something\n" +
			"needs to be done before Cairn can be relied upon.",
		Example: "  cairn doctor --data-dir /var/lib/cairn\n" +
			"  cairn doctor --config /etc/cairn/cairn.yaml --output json",
		Args: noArguments,
	}
	var output string
	cfg, load := p.configure(cmd)
	cmd.Flags().StringVar(&output, "output", "table", "`form` of what is printed: table or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "table" && output != "json" {
			return usageError{fmt.Errorf("--output must be table or json, not %q", output)}
		}
		if err := load(); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		findings := doctor.Examine(ctx, doctorOptions(cfg))
		if err := printFindings(p.stdout, findings, output == "json"); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return admincli.ErrCancelled
		}
		return doctor.Judge(findings)
	}
	return cmd
}

func doctorOptions(cfg *config.Config) doctor.Options {
	wishes := wishesOf(cfg)
	plan := memory.NewPlan(wishes)
	o := doctor.Options{
		Dir:       cfg.DataDir,
		Reserve:   engine.DefaultDiskReserve,
		OpenFiles: cfg.ConnLimit + sparedFiles,
		Backlog:   min(cfg.ConnLimit, manyAtOnce),

		Memory:         plan.Total,
		MemoryLimit:    wishes.Limit,
		MemoryWarnings: plan.Warnings,
	}
	if cfg.DiskReserve != 0 {
		o.Reserve = func(int64) int64 { return cfg.DiskReserve }
	}
	for _, file := range []string{cfg.TLSCert, cfg.HTTPCert, cfg.UpstreamCert} {
		if file != "" {
			o.Certificates = append(o.Certificates, file)
		}
	}
	for _, file := range []string{cfg.TLSKey, cfg.HTTPKey, cfg.AuthFile, cfg.HTTPTokenFile, cfg.UpstreamKey, cfg.UpstreamAuthFile} {
		if file != "" {
			o.Secrets = append(o.Secrets, file)
		}
	}
	return o
}

func printFindings(w io.Writer, findings []doctor.Finding, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(findings)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(t, "%s\t%s\t%s\n", strings.ToUpper(string(f.Grade)), f.Check, f.Found)
		if f.Advice != "" {
			fmt.Fprintf(t, "\t\t-> %s\n", f.Advice)
		}
	}
	return t.Flush()
}
