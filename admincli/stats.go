package admincli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

func (a *app) statsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show statistics",
		Long:  "Show the figures of the store and of memcached's clients. --output json has all of them.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			stats, err := c.Stats(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, stats)
			}
			return a.statsTable(stats, all)
		},
	}
	cmd.Flags().BoolVar(&all, "memcached", false, "also show the lines of memcached's stats")
	return cmd
}

func (a *app) statsTable(s *adminapi.Stats, all bool) error {
	t := newTable(a.Stdout)
	t.row("Uptime", secondsSpan(s.Uptime))
	t.row("Sessions", count(s.Sessions.Items), size(s.Sessions.Bytes))
	t.row("  stored", count(s.Sessions.Stored))
	t.row("  expired", count(s.Sessions.Expired))
	t.row("Hot cache", count(s.Cache.Items), size(s.Cache.Bytes)+" of "+size(s.Cache.Capacity))
	t.row("  hit ratio", percent(s.Cache.Hits, s.Cache.Hits+s.Cache.Misses))
	t.row("Commits", count(s.Commits.Commits), count(s.Commits.Errors)+" failed")
	t.row("  fsyncs", count(s.Commits.Syncs), average(s.Commits.SyncSeconds, s.Commits.Syncs)+" each")
	t.row("Disk", size(s.Disk.Bytes), size(s.Disk.FreeBytes)+" free")
	t.row("  log", size(s.Disk.WALBytes))
	t.row("  expired, not yet dropped", size(s.Disk.ExpiredBytes))
	t.row("  write amplification", strconv.FormatFloat(s.Disk.WriteAmplification, 'f', 2, 64))
	t.row("  compactions", count(s.Disk.Compactions), size(s.Disk.CompactionDebt)+" to do")
	t.row("  write stalls", count(s.Disk.WriteStalls), secondsSpan(s.Disk.WriteStallSeconds))
	t.row("Compression", size(s.Codec.In)+" to "+size(s.Codec.Out), count(s.Codec.Dictionaries)+" dictionaries")
	t.row("Trouble", a.trouble(s))
	for _, b := range s.Buckets {
		t.row("Bucket until "+moment(b.Deadline), size(b.Bytes))
	}
	if len(s.Latencies) > 0 {
		t.row("Verb", "requests", "p50", "p99", "p99.9")
	}
	for _, l := range s.Latencies {
		t.row("  "+l.Verb, count(int64(l.Count)), secondsSpan(l.P50), secondsSpan(l.P99), secondsSpan(l.P999))
	}
	if all {
		for _, name := range slices.Sorted(maps.Keys(s.Memcached)) {
			t.row("memcached "+name, s.Memcached[name])
		}
	}
	return t.Flush()
}

// trouble names what is wrong now or went wrong since the start.
func (a *app) trouble(s *adminapi.Stats) string {
	text := ""
	add := func(is bool, what string) {
		if is && text != "" {
			text += ", "
		}
		if is {
			text += what
		}
	}
	add(s.Disk.OutOfSpace, "out of space")
	add(s.Disk.ReadOnly, "read-only")
	add(s.Disk.Stalled, "writes stalled")
	add(s.Commits.Errors > 0, "commit errors")
	add(s.Disk.ReadErrors > 0, "read errors")
	add(s.Disk.Corruptions > 0, "corruption")
	add(s.Disk.SlowOperations > 0, "slow disk operations")
	if text == "" {
		return "none"
	}
	return text
}

func percent(part, whole int64) string {
	if whole == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + "%"
}

func average(seconds float64, n int64) string {
	if n == 0 {
		return "-"
	}
	return secondsSpan(seconds / float64(n))
}

func (a *app) forecastCommand() *cobra.Command {
	slots := 24
	cmd := &cobra.Command{
		Use:   "forecast",
		Short: "Show how many sessions expire when",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			f, err := c.Forecast(cmd.Context(), slots)
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &f)
			}
			t := newTable(a.Stdout)
			t.row("FROM", "FOR", "SESSIONS", "BYTES")
			for _, s := range f.Slots {
				t.row(moment(&s.From), secondsSpan(float64(f.WidthSeconds)), count(s.Sessions), size(s.Bytes))
			}
			t.row("never", "", count(f.Never.Sessions), size(f.Never.Bytes))
			t.row("total", "", count(f.Total.Sessions), size(f.Total.Bytes))
			return t.Flush()
		},
	}
	cmd.Flags().IntVar(&slots, "slots", slots, "show at most so many lines")
	return cmd
}

// How many connections are listed, and offered to complete a command line.
const (
	maxConnections = 10_000
	maxCompletions = 1_000
)

func (a *app) connectionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "connections",
		Short: "List or close connections of memcached clients",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Connections(cmd.Context(), maxConnections)
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &list)
			}
			t := newTable(a.Stdout)
			t.row("ID", "CLIENT", "PROTOCOL", "USER", "SINCE", "LAST", "REQUESTS", "IN", "OUT")
			for _, conn := range list.Connections {
				t.row(conn.ID, conn.Client, conn.Protocol, conn.User, moment(&conn.Since), conn.LastVerb,
					conn.Requests, size(int64(conn.BytesIn)), size(int64(conn.BytesOut)))
			}
			return t.Flush()
		},
	}
	cmd.AddCommand(a.closeCommand())
	return cmd
}

func (a *app) closeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "close ID...",
		Short:             "Close connections by their ID",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeConnections,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var outcomes []outcome
			for _, id := range args {
				err := c.CloseConnection(cmd.Context(), id)
				outcomes = append(outcomes, a.outcomeOf(err, outcome{ID: id}))
			}
			return a.report(outcomes, "connections", "closed")
		},
	}
}

// completeConnections returns the connections there are, with their clients.
func (a *app) completeConnections(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, err := c.Connections(cmd.Context(), maxCompletions)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for _, conn := range list.Connections {
		ids = append(ids, cobra.CompletionWithDesc(conn.ID, conn.Client))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) logLevelCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "log-level [debug|info|warn|error]",
		Short:     "Show or change the server's log level",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"debug", "info", "warn", "error"},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var level adminapi.LogLevel
			if len(args) > 0 {
				level, err = c.SetLogLevel(cmd.Context(), args[0])
			} else {
				level, err = c.LogLevel(cmd.Context())
			}
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &level)
			}
			fmt.Fprintln(a.Stdout, level.Level)
			return nil
		},
	}
}
