package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cairn/admincli"
	"cairn/cluster/membership"
	"cairn/cluster/peer"
	"cairn/cluster/visit"
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
		Short: "Look at what the server depends on: disk, clock, limits, memory, files, cluster",
		Long: "Measure how long the disk takes to make a write durable, and look at free space, limits,\n" +
			"memory, the clock, certificates, and files that others must not read, for a server with\n" +
			"the same flags, environment and file. For a node of a cluster, or a proxy, it asks all\n" +
			"nodes: who answers and how fast, who leads, what each lacks, and whether their clocks\n" +
			"agree. It may run beside the server. Fails if something needs to be done before Cairn\n" +
			"can be relied upon.",
		Example: "  cairn doctor --data-dir /var/lib/cairn\n" +
			"  cairn doctor --config /etc/cairn/cairn.yaml --output json\n" +
			"  cairn doctor --role=proxy --join node1.example:7211,node2.example:7211",
		Args: noArguments,
	}
	var output string
	cfg, load := p.configure(cmd)
	cmd.Flags().StringVar(&output, "output", "table", "`form` of what is printed: table or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "table" && output != "json" {
			return usageError{fmt.Errorf("--output must be table or json, not %q", output)}
		}
		err := load()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		options := doctorOptions(cfg)
		if options.Cluster, err = doctorCluster(cfg); err != nil {
			return err
		}
		findings := doctor.Examine(ctx, options)
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
		Dir: cfg.DataDir, FailoverDir: cfg.LogFailoverDir,
		Reserve:   engine.DefaultDiskReserve,
		OpenFiles: cfg.ConnLimit + sparedFiles,
		Backlog:   min(cfg.ConnLimit, manyAtOnce),

		Memory:         plan.Total,
		MemoryLimit:    wishes.Limit,
		MemoryWarnings: plan.Warnings,
	}
	if cfg.Proxy() {
		o.Dir = "" // it keeps nothing
	}
	if cfg.DiskReserve != 0 {
		o.Reserve = func(int64) int64 { return cfg.DiskReserve }
	}
	for _, file := range []string{cfg.TLSCert, cfg.HTTPCert, cfg.UpstreamCert, cfg.ClusterCert, cfg.ClusterCA} {
		if file != "" {
			o.Certificates = append(o.Certificates, file)
		}
	}
	for _, file := range []string{cfg.TLSKey, cfg.HTTPKey, cfg.AuthFile, cfg.HTTPTokenFile, cfg.UpstreamKey, cfg.UpstreamAuthFile, cfg.ClusterKey} {
		if file != "" {
			o.Secrets = append(o.Secrets, file)
		}
	}
	return o
}

// doctorCluster says what a server with these settings has to do with a cluster; nil:
// nothing.
func doctorCluster(cfg *config.Config) (*doctor.Cluster, error) {
	c := &doctor.Cluster{
		Proxy: cfg.Proxy(), Listen: cfg.ClusterListen, Advertise: cfg.ClusterAdvertise, Expect: cfg.BootstrapExpect,
	}
	if !c.Proxy {
		identity, err := membership.Read(cfg.DataDir)
		switch {
		case err == nil:
			c.Identity = identity
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return nil, err
		case !cfg.Clustered():
			return nil, nil
		}
		if !cfg.Clustered() {
			return c, nil
		}
	}
	c.Visit = visit.Options{Cluster: cfg.ClusterName, Addresses: slices.Clone(cfg.Join), Program: version}
	if !c.Proxy {
		c.Visit.Addresses = append(c.Visit.Addresses, cfg.ClusterAdvertise)
	}
	if c.Identity != nil {
		for _, m := range c.Identity.Members {
			c.Visit.Addresses = append(c.Visit.Addresses, m.Address)
		}
	}
	if cfg.ClusterCert != "" {
		c.Visit.Security, c.Unsafe = peer.LoadSecurity(cfg.ClusterCert, cfg.ClusterKey, cfg.ClusterCA)
	}
	return c, nil
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
