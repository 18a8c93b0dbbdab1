package admincli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
	"cairn/figures"
)

func (a *app) topCommand() *cobra.Command {
	interval, rounds := 2*time.Second, 0
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch what the server does, live",
		Long: "Show rates and latencies of each interval, until q or Ctrl-C. On a terminal the picture is redrawn,\n" +
			"with colours unless NO_COLOR is set; elsewhere, and with --output json, each interval is one line.\n" +
			"Percentiles are of the requests of that interval. 100 ms is marked: clients with that timeout give up.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 100*time.Millisecond {
				return usagef("--interval must be at least 100ms")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.top(cmd.Context(), c, interval, rounds)
		},
	}
	cmd.Flags().DurationVarP(&interval, "interval", "i", interval, "time between two pictures")
	cmd.Flags().IntVarP(&rounds, "rounds", "n", 0, "end after so many intervals; 0: never")
	return cmd
}

func (a *app) top(ctx context.Context, c *adminapi.Client, interval time.Duration, rounds int) error {
	before, err := c.Stats(ctx)
	if err != nil {
		return err
	}
	show := a.lines()
	if isTerminal(a.Stdout) && !a.json() {
		s := a.openScreen(c.Base)
		defer s.close()
		ctx, show = s.untilQuit(ctx), s.draw
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := c.Stats(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := show(newActivity(before, now), now); err != nil {
			return err
		}
		before = now
		if n == rounds {
			return nil
		}
	}
}

// lines returns what shows each interval as a line of text or of JSON.
func (a *app) lines() func(*activity, *adminapi.Stats) error {
	first := true
	return func(now *activity, _ *adminapi.Stats) error {
		if a.json() {
			return json.NewEncoder(a.Stdout).Encode(now)
		}
		defer func() { first = false }()
		return drawLine(a.Stdout, now, first)
	}
}

// activity is what happened between two statistics.
type activity struct {
	Seconds     float64  `json:"seconds"`
	Requests    float64  `json:"requests_per_second"`
	Commits     float64  `json:"commits_per_second"`
	Fsyncs      float64  `json:"fsyncs_per_second"`
	FsyncTime   float64  `json:"fsync_seconds"` // of one, on average
	Stored      float64  `json:"stored_per_second"`
	Expired     float64  `json:"expired_per_second"`
	HitRatio    *float64 `json:"hit_ratio,omitempty"`   // of gets; nil if there were none
	CacheRatio  *float64 `json:"cache_ratio,omitempty"` // of reads, found in memory
	BytesIn     float64  `json:"in_per_second"`         // bytes from clients
	BytesOut    float64  `json:"out_per_second"`
	Written     float64  `json:"written_per_second"` // bytes to disk
	Sessions    int64    `json:"sessions"`
	Disk        int64    `json:"disk_bytes"`
	Connections int64    `json:"connections"`
	ConnLimit   int64    `json:"connection_limit"`
	Processor   float64  `json:"processor"`    // cores that were busy
	Memory      int64    `json:"memory_bytes"` // taken from the system

	Verbs []verbActivity `json:"verbs"`
}

type verbActivity struct {
	Verb     string  `json:"verb"`
	Requests float64 `json:"requests_per_second"`
	P50      float64 `json:"p50_seconds"`
	P99      float64 `json:"p99_seconds"`
	P999     float64 `json:"p999_seconds"`
}

func newActivity(before, now *adminapi.Stats) *activity {
	seconds := max(now.Uptime-before.Uptime, 1e-9)
	rate := func(n int64) float64 { return float64(max(n, 0)) / seconds }
	difference := func(name string) int64 { return number(now, name) - number(before, name) }
	a := &activity{
		Seconds:     seconds,
		Commits:     rate(now.Commits.Commits - before.Commits.Commits),
		Fsyncs:      rate(now.Commits.Syncs - before.Commits.Syncs),
		FsyncTime:   ratio(now.Commits.SyncSeconds-before.Commits.SyncSeconds, float64(now.Commits.Syncs-before.Commits.Syncs)),
		Stored:      rate(now.Sessions.Stored - before.Sessions.Stored),
		Expired:     rate(now.Sessions.Expired - before.Sessions.Expired),
		BytesIn:     rate(difference("bytes_read")),
		BytesOut:    rate(difference("bytes_written")),
		Written:     rate(written(now) - written(before)),
		Sessions:    now.Sessions.Items,
		Disk:        now.Disk.Bytes,
		Connections: number(now, "curr_connections"),
		ConnLimit:   number(now, "max_connections"),
		Processor:   max(processorTime(now)-processorTime(before), 0) / seconds,
		Memory:      int64(now.Process.SysBytes),
		Verbs:       []verbActivity{},
	}
	hits, misses := difference("get_hits"), difference("get_misses")
	a.HitRatio = shareOf(hits, misses)
	a.CacheRatio = shareOf(now.Cache.Hits-before.Cache.Hits, now.Cache.Misses-before.Cache.Misses)
	a.addVerbs(before, now)
	return a
}

func ratio(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return part / whole
}

// shareOf returns the share of hits, nil if there was neither hit nor miss.
func shareOf(hits, misses int64) *float64 {
	if hits+misses <= 0 {
		return nil
	}
	share := float64(hits) / float64(hits+misses)
	return &share
}

// number returns a line of memcached's statistics.
func number(s *adminapi.Stats, name string) int64 {
	n, _ := strconv.ParseInt(s.Memcached[name], 10, 64)
	return n
}

// processorTime returns the seconds that the process has computed.
func processorTime(s *adminapi.Stats) float64 {
	user, _ := strconv.ParseFloat(s.Memcached["rusage_user"], 64)
	system, _ := strconv.ParseFloat(s.Memcached["rusage_system"], 64)
	return user + system
}

func written(s *adminapi.Stats) int64 {
	return s.Disk.WALWritten + s.Disk.FlushWritten + s.Disk.CompactionWritten
}

// addVerbs takes the differences of the latency histograms.
func (a *activity) addVerbs(before, now *adminapi.Stats) {
	earlier := map[string]figures.Times{}
	for i := range before.Latencies {
		earlier[before.Latencies[i].Verb] = timesOf(&before.Latencies[i])
	}
	for i := range now.Latencies {
		l := &now.Latencies[i]
		times := timesOf(l).Since(earlier[l.Verb])
		requests := float64(times.Count) / a.Seconds
		a.Requests += requests
		if times.Count > 0 {
			a.Verbs = append(a.Verbs, verbActivity{
				Verb: l.Verb, Requests: requests,
				P50: times.Quantile(0.5).Seconds(), P99: times.Quantile(0.99).Seconds(), P999: times.Quantile(0.999).Seconds(),
			})
		}
	}
}

// timesOf reads the histogram of one verb.
func timesOf(l *adminapi.LatencyStats) figures.Times {
	t := figures.Times{Count: l.Count, Sum: time.Duration(l.Seconds * float64(time.Second))}
	var below uint64
	for _, b := range l.Buckets {
		t.Bounds = append(t.Bounds, time.Duration(b.LE*float64(time.Second)+0.5))
		t.Counts = append(t.Counts, b.Count-below)
		below = b.Count
	}
	return t
}

const lineFormat = "%10s %8s %8s %9s %9s %10s %10s %6s\n"

func drawLine(w io.Writer, now *activity, first bool) error {
	if first {
		fmt.Fprintf(w, lineFormat, "requests/s", "hit", "stored/s", "expired/s", "fsyncs/s", "sessions", "disk", "conns")
	}
	_, err := fmt.Fprintf(w, lineFormat,
		count(int64(now.Requests)), share(now.HitRatio), count(int64(now.Stored)), count(int64(now.Expired)),
		count(int64(now.Fsyncs)), count(now.Sessions), size(now.Disk), count(now.Connections))
	return err
}

func share(ratio *float64) string {
	if ratio == nil {
		return "-"
	}
	return strconv.FormatFloat(100**ratio, 'f', 1, 64) + "%"
}
