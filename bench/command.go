//go:build linux

package bench

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cairn/bench/payload"
	"cairn/bench/peer"
	"cairn/bench/slow"
)

// NewCommand makes the command `cairn-bench`, which writes its report to standard
// output and its progress to standard error.
func NewCommand(version string) *cobra.Command {
	var c Config
	flags := &flagValues{config: &c}
	cmd := &cobra.Command{
		Use:     "cairn-bench",
		Version: version,
		Short:   "Compare Cairn with memcached, Redis and yrmcds on this machine",
		Long: "Starts the servers side by side on loopback, puts the same traffic on each in\n" +
			"alternating rounds, checks every answer, and reports what they gave and what they\n" +
			"cost. It needs Linux, and the other servers installed.\n\n" +
			"Workloads: " + strings.Join(Workloads(), ", ") + ".\n" +
			"Servers: " + strings.Join(peer.Bases(), ", ") + ".",
		Example: "  cairn-bench --quick\n" +
			"  cairn-bench --workload get,set --peers cairn,memcached --rounds 9\n" +
			"  cairn-bench --workload set --peers cairn --peer 'old=cairn @/opt/old/cairn' --baseline old\n" +
			"  cairn-bench --workload session --rate 50% --duration 1m",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCommand(cmd, &c, flags) },
	}
	flags.define(cmd.Flags())
	cmd.AddCommand(slowCommand())
	return cmd
}

// slowCommand serves the Cairn that cold measures, in a process of its own.
func slowCommand() *cobra.Command {
	var o slow.Options
	var memoryMB int64
	cmd := &cobra.Command{
		Use:    peer.SlowCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.HotBytes = memoryMB << 20
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
			defer stop()
			return slow.Serve(ctx, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Address, "listen", "", "address")
	f.StringVar(&o.Dir, "data-dir", "", "directory")
	f.Int64Var(&memoryMB, "memory", 64, "megabytes for hot sessions")
	f.IntVar(&o.Threads, "threads", 0, "threads that serve")
	f.DurationVar(&o.ReadDelay, "read-delay", 0, "how long each read of a table takes")
	return cmd
}

// flagValues are flags that are not fields of Config as they stand.
type flagValues struct {
	config                 *Config
	peers, variants        []string
	payload                string
	serverCPUs, clientCPUs string
	quiet                  bool
}

func (v *flagValues) define(f *pflag.FlagSet) {
	c := v.config
	f.SortFlags = false
	f.StringSliceVar(&c.Workloads, "workload", nil, "workloads, comma-separated (default all)")
	f.StringSliceVar(&v.peers, "peers", nil, "servers, comma-separated (default all, or none if --peer is given)")
	f.StringArrayVar(&v.variants, "peer", nil,
		"one more server, as 'LABEL=SERVER ARGUMENT...', with more arguments or, as @PATH, with another binary; repeatable")
	f.StringVar(&c.Baseline, "baseline", "", "server that ratios refer to (default memcached, or else the first)")
	f.BoolVar(&c.Quick, "quick", false, "small and short: shows that everything works, the figures mean nothing")
	f.IntVar(&c.Rounds, "rounds", 0, "rounds (default 5)")
	f.DurationVar(&c.Duration, "duration", 0, "length of a round (default 5s)")
	f.DurationVar(&c.Warmup, "warmup", 0, "traffic before the first round (default 2s)")
	f.DurationVar(&c.Long, "long", 0, "length of paced; space takes half as long (default 10m)")
	f.IntVar(&c.Connections, "connections", 0, "client connections (default 50)")
	f.IntVar(&c.Pipeline, "pipeline", 0, "operations at once in pipelined traffic and multi-gets (default 16)")
	f.IntVar(&c.Sessions, "sessions", 0, "sessions stored (default 100000)")
	f.IntVar(&c.Storm, "storm", 0, "sessions that end at once in expiry-storm (default 1000000)")
	f.IntVar(&c.Takeovers, "takeovers", 0, "processes that take over, one after the other, in takeover (default 10)")
	f.IntSliceVar(&c.Rates, "rates", nil, "operations per second in rates (default 1000,5000,10000)")
	f.IntSliceVar(&c.Growth, "growth", nil, "numbers of sessions in growth (default 10000,100000,1000000,10000000)")
	f.DurationSliceVar(&c.ReadDelays, "read-delays", nil, "how long the disk takes for a read in cold (default 2ms,20ms)")
	f.DurationVar(&c.Timeout, "timeout", 0, "idle time after which a session ends (default 30m)")
	f.StringVar(&v.payload, "payload", "mix", "sessions: mix, php, json, java, opaque[:BYTES] or random[:BYTES], comma-separated")
	f.IntVar(&c.MemoryMB, "memory", 0, "megabytes for each server (default 1024)")
	f.StringVar(&c.Rate, "rate", "", "open loop for steady traffic: web requests per second, or a percentage of the server's peak (default closed loop)")
	f.StringVar(&c.Protocol, "protocol", "", "memcached protocol to speak: text, meta or binary (default text)")
	f.BoolVar(&c.Ordinary, "ordinary-client", false, "use gomemcache instead of the fast client")
	f.StringVar(&v.serverCPUs, "server-cpus", "", "cores of the servers, like 0,2-3 (default the first half)")
	f.StringVar(&v.clientCPUs, "client-cpus", "", "cores of the client (default the second half)")
	f.BoolVar(&c.Unpinned, "unpinned", false, "do not bind threads to cores")
	f.Uint64Var(&c.Seed, "seed", 0, "seed of everything random")
	f.StringVar(&c.Dir, "dir", "", "directory for the servers' files; put it on the disk to measure (default a temporary one)")
	f.StringVar(&c.Out, "out", "bench/out", "directory for report.md, report.html and results.json; empty writes none")
	f.BoolVar(&v.quiet, "quiet", false, "show no progress")
}

func runCommand(cmd *cobra.Command, c *Config, flags *flagValues) error {
	if err := flags.apply(); err != nil {
		return err
	}
	c.Command = shellCommand(os.Args)
	if !flags.quiet {
		c.Progress = cmd.ErrOrStderr()
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := Run(ctx, *c)
	if r != nil && len(r.Sections) > 0 {
		if _, printErr := io.WriteString(cmd.OutOrStdout(), r.Markdown()); err == nil {
			err = printErr
		}
		if c.Out != "" && err == nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "report with plots:", filepath.Join(c.Out, "report.html"))
		}
	}
	return err
}

// apply turns the flags into Config.
func (v *flagValues) apply() (err error) {
	c := v.config
	if c.Payload, err = payload.ParseFormats(v.payload); err != nil {
		return err
	}
	if c.ServerCPUs, err = parseCores(v.serverCPUs); err != nil {
		return err
	}
	if c.ClientCPUs, err = parseCores(v.clientCPUs); err != nil {
		return err
	}
	c.Peers = nil
	for _, text := range append(v.peers, v.variants...) {
		spec, err := peer.ParseSpec(text)
		if err != nil {
			return err
		}
		c.Peers = append(c.Peers, spec)
	}
	return nil
}

// parseCores reads a list of numbers and ranges.
func parseCores(text string) ([]int, error) {
	var cores []int
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		first, last, isRange := strings.Cut(part, "-")
		low, err := strconv.Atoi(first)
		high := low
		if isRange && err == nil {
			high, err = strconv.Atoi(last)
		}
		if err != nil || low < 0 || high < low || high > 1023 {
			return nil, fmt.Errorf("bench: cores %q: want a list like 0,2-3", text)
		}
		for core := low; core <= high; core++ {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// shellCommand writes a command line so that a shell reads it back.
func shellCommand(args []string) string {
	words := []string{filepath.Base(args[0])}
	for _, arg := range args[1:] {
		if strings.ContainsAny(arg, " '\"\\$&|;<>()*?`") || arg == "" {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
