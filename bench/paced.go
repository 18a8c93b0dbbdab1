//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"

	"cairn/bench/load"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// pacedExperiment watches the servers for minutes at half their peak, while
// what their disks need goes on behind the requests.
var pacedExperiment = experiment{
	name: "paced",
	cost: func(s *suite) time.Duration { return startCost + s.fillCost(s.Sessions) + s.Warmup + s.Long },
	run:  runPaced,
}

// pacedTimeout of the sessions is so short, and newcomers so many in percent,
// that sessions die all the time and whole buckets leave the disk within the
// experiment.
const (
	pacedTimeout   = 2 * time.Minute
	pacedNewcomers = 5
	pacedPart      = 0.5 // of the peak
)

// watch is what a long run measured.
type watch struct {
	Rate     float64  `json:"turnsPerSecond"`
	Round    Round    `json:"round"`
	Seconds  []second `json:"seconds"`
	Boundary bool     `json:"bucketBoundaryInside"`

	all *load.Result
}

// second is one second of a timeline.
type second struct {
	At         float64 `json:"at"` // seconds since the start
	Operations int64   `json:"operations"`
	Latency    Latency `json:"latency"`
}

func runPaced(ctx context.Context, s *suite) (report.Section, error) {
	watches, err := oneByOne(ctx, s, s.Peers, s.Sessions, s.MemoryMB, s.pace)
	if err != nil {
		return report.Section{}, err
	}
	return s.pacedSection(watches), nil
}

func (s *suite) pace(ctx context.Context, c *contestant) (*watch, error) {
	o := workload.Options{Timeout: pacedTimeout, Seed: s.Seed, Validity: true, Newcomers: pacedNewcomers}
	if err := s.fill(ctx, c, workload.Fill, o); err != nil {
		return nil, err
	}
	flows := s.flows(c, workload.Session, o)
	peak, err := s.peak(ctx, c, flows)
	if err != nil {
		return nil, err
	}
	done := s.progress.phase(s.Long, "paced · %s for %v", c.Spec.Name, s.Long)
	defer done()
	w := &watch{Rate: peak * pacedPart}
	if bucket := c.Spec.Bucket(); bucket > 0 {
		now := time.Now()
		w.Boundary = now.Truncate(bucket) != now.Add(s.Long).Truncate(bucket)
	}
	w.Round, w.all, err = s.round(ctx, c, load.Options{
		Flows: flows, Duration: s.Long, Rate: w.Rate, Interval: time.Second,
	})
	if err == nil {
		w.Seconds = seconds(w.all)
	}
	return w, err
}

// seconds sums up a timeline.
func seconds(result *load.Result) []second {
	var all []second
	for _, moment := range result.Timeline {
		all = append(all, second{moment.Start.Seconds(), moment.Latency.TotalCount(), newLatency(moment.Latency)})
	}
	return all
}

func (s *suite) pacedSection(watches map[string]*watch) report.Section {
	section := report.Section{
		Title: "Long run at half the peak",
		Summary: fmt.Sprintf("Web requests as memcached-session-manager makes them, at %.0f%% of each server's own peak for %v, "+
			"%d%% of them by new visitors, who miss with their first get and never come back. "+
			"Sessions live %v after their last request, so some end all the time.",
			pacedPart*100, s.Long, pacedNewcomers, 2*pacedTimeout),
		Data: watches,
	}
	table := report.Table{
		Title:   "Latency of operations",
		Columns: []string{"server", "requests/s", "p50", "p99", "p99.9", "max", "worst second's p99", "request p99.9", "CPU µs/op", "hits", "RSS", "disk"},
	}
	tails := newTailTable()
	worst := report.Plot{Title: "Slowest operation of each second", XLabel: "seconds", YLabel: "milliseconds", LogY: true}
	p99 := report.Plot{Title: "99th percentile of each second", XLabel: "seconds", YLabel: "milliseconds", LogY: true}
	curves := report.Plot{Title: "Latency of operations", XLabel: "percentile", YLabel: "milliseconds", LogY: true, Percentiles: true}
	for _, spec := range s.Peers {
		w := watches[spec.Name]
		r := &w.Round
		table.Rows = append(table.Rows, []string{
			spec.Name, report.Quantity(w.Rate),
			report.Duration(r.Latency.P50), report.Duration(r.Latency.P99), report.Duration(r.Latency.P999), report.Duration(r.Latency.Max),
			report.Duration(worstP99(w.Seconds)), report.Duration(r.Turn.P999),
			fmt.Sprintf("%.2f", r.CPU()), percent(r.HitRatio), report.Bytes(r.RSS), report.Bytes(r.Disk),
		})
		tails.Rows = append(tails.Rows, tailRow([]Round{*r}, spec.Name))
		worst.Lines = append(worst.Lines, overTime(spec.Name, w.Seconds, func(l Latency) time.Duration { return l.Max }))
		p99.Lines = append(p99.Lines, overTime(spec.Name, w.Seconds, func(l Latency) time.Duration { return l.P99 }))
		curves.Lines = append(curves.Lines, latencyCurve(spec.Name, w.all.Latency()))
		if spec.Bucket() > 0 && !w.Boundary {
			section.Notes = append(section.Notes, spec.Name+" dropped no bucket meanwhile: the run held no boundary of its "+spec.Bucket().String()+".")
		}
	}
	section.Notes = append(section.Notes, tailNote)
	section.Tables, section.Plots = []report.Table{table, tails}, []report.Plot{p99, worst, curves}
	return section
}

func worstP99(seconds []second) (worst time.Duration) {
	for _, second := range seconds {
		worst = max(worst, second.Latency.P99)
	}
	return worst
}

func overTime(name string, seconds []second, figure func(l Latency) time.Duration) report.Line {
	line := report.Line{Name: name}
	for _, second := range seconds {
		line.Points = append(line.Points, report.Point{X: second.At, Y: milliseconds(figure(second.Latency))})
	}
	return line
}
