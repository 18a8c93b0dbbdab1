//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"cairn/bench/load"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// stormExperiment lets very many sessions end in the same second and watches
// the traffic that goes on.
var stormExperiment = experiment{
	name: "expiry-storm",
	cost: func(s *suite) time.Duration {
		before, after := s.stormWindows()
		return startCost + s.fillCost(s.Sessions+s.Storm) + s.Warmup + before + after
	},
	run: runStorm,
}

// stormPart is the rate of the traffic meanwhile, as a part of the peak.
const stormPart = 0.5

// stormWindows say how long to watch before and after.
func (s *suite) stormWindows() (before, after time.Duration) {
	if s.Quick {
		return time.Second, time.Second
	}
	return 30 * time.Second, 60 * time.Second
}

// storm is what was measured on one server.
type storm struct {
	Rate       float64   `json:"turnsPerSecond"`
	Due        float64   `json:"dueAt"` // seconds since the traffic's start
	Before     Latency   `json:"before"`
	After      Latency   `json:"after"`
	Seconds    []second  `json:"seconds"`
	DiskBefore int64     `json:"diskBefore"`
	DiskAfter  int64     `json:"diskAfter"`
	RSSBefore  int64     `json:"rssBefore"`
	RSSAfter   int64     `json:"rssAfter"`
	Round      Round     `json:"round"`
	DueTime    time.Time `json:"dueTime"`
}

func runStorm(ctx context.Context, s *suite) (report.Section, error) {
	storms, err := oneByOne(ctx, s, s.Peers, s.Sessions, s.stormMemory(), s.measureStorm)
	if err != nil {
		return report.Section{}, err
	}
	return s.stormSection(storms), nil
}

// stormMemory is room for all sessions, in MiB, so that those who keep them in
// memory have them when the storm comes.
func (s *suite) stormMemory() int {
	need := float64(s.Sessions+s.Storm) * s.pool.MeanSize() * 1.5
	return max(s.MemoryMB, int(need)>>20)
}

func (s *suite) measureStorm(ctx context.Context, c *contestant) (*storm, error) {
	o := workload.Options{Timeout: s.Timeout, Seed: s.Seed, Validity: true}
	start := time.Now()
	if err := s.fill(ctx, c, workload.Fill, o); err != nil {
		return nil, err
	}
	perSession := time.Since(start) / time.Duration(s.Sessions)
	flows := s.flows(c, workload.Session, o)
	peak, err := s.peak(ctx, c, flows)
	if err != nil {
		return nil, err
	}
	result := &storm{Rate: peak * stormPart}
	before, after := s.stormWindows()
	result.DueTime = s.dueTime(c, perSession*time.Duration(s.Storm)*3/2+before)
	if err := s.gather(ctx, c, result.DueTime, before); err != nil {
		return nil, err
	}
	if err := result.noteStart(c); err != nil {
		return nil, err
	}
	done := s.progress.phase(before+after, "expiry-storm · %s: %d sessions end at %s", c.Spec.Name, s.Storm, result.DueTime.Format(time.TimeOnly))
	defer done()
	result.Due = time.Until(result.DueTime).Seconds()
	r, all, err := s.round(ctx, c, load.Options{
		Flows: flows, Duration: before + after, Rate: result.Rate, Interval: time.Second,
	})
	if err != nil {
		return nil, err
	}
	result.conclude(r, all)
	return result, nil
}

// dueTime chooses the second of the storm, at least that far ahead. For a
// server that drops sessions in a rhythm it is the end of one beat, so that
// the drop falls into the time that is watched.
func (s *suite) dueTime(c *contestant, ahead time.Duration) time.Time {
	earliest := time.Now().Add(ahead)
	bucket := c.Spec.Bucket()
	if bucket == 0 || s.Quick {
		return earliest.Truncate(time.Second).Add(time.Second)
	}
	const margin = 5 * time.Second // before the beat
	return earliest.Add(margin).Truncate(bucket).Add(bucket - margin)
}

// gather stores the sessions of the storm and waits until the time to watch.
func (s *suite) gather(ctx context.Context, c *contestant, due time.Time, before time.Duration) error {
	storm := &contestant{Server: c.Server, population: workload.NewPopulation(s.pool, 1<<32, s.Storm)}
	if err := s.fill(ctx, storm, workload.FillUntil(due.Unix()), workload.Options{Seed: s.Seed + 1}); err != nil {
		return err
	}
	c.written += storm.written
	wait := time.Until(due) - before
	if wait < 0 {
		return fmt.Errorf("%s: storing the sessions took %v too long; use fewer (--storm)", c.Spec.Name, -wait)
	}
	done := s.progress.phase(wait, "expiry-storm · %s: wait for %s", c.Spec.Name, due.Add(-before).Format(time.TimeOnly))
	defer done()
	return sleep(ctx, wait)
}

func (r *storm) noteStart(c *contestant) (err error) {
	usage, err := c.Usage()
	if err != nil {
		return err
	}
	r.RSSBefore = usage.RSS
	r.DiskBefore, err = c.allocated()
	return err
}

func (r *storm) conclude(round Round, all *load.Result) {
	r.Round, r.Seconds = round, seconds(all)
	r.RSSAfter, r.DiskAfter = round.RSS, round.Disk
	var before, after *hdrhistogram.Histogram
	for _, moment := range all.Timeline {
		window := &after
		if moment.Start.Seconds()+1 <= r.Due {
			window = &before
		}
		if *window == nil {
			*window = moment.Latency
		} else {
			(*window).Merge(moment.Latency)
		}
	}
	if before != nil {
		r.Before = newLatency(before)
	}
	if after != nil {
		r.After = newLatency(after)
	}
}

func (s *suite) stormSection(storms map[string]*storm) report.Section {
	section := report.Section{
		Title: "Expiry storm",
		Summary: fmt.Sprintf("%s sessions end in the same second, while web requests on %s others go on at %.0f%% of each server's own peak.",
			report.Quantity(float64(s.Storm)), report.Quantity(float64(s.Sessions)), stormPart*100),
		Notes: []string{"After is everything from the second of the storm on. Disk and memory are those before and at the end."},
		Data:  storms,
	}
	table := report.Table{Columns: []string{"server", "requests/s", "p50 before", "p99 before", "p99.9 before",
		"p50 after", "p99 after", "p99.9 after", "max after", "p99 after / before", "worst second's p99", "disk", "RSS"}}
	plot := report.Plot{Title: "99th percentile of each second around the storm", XLabel: "seconds since the storm", YLabel: "milliseconds", LogY: true}
	for _, spec := range s.Peers {
		r := storms[spec.Name]
		table.Rows = append(table.Rows, []string{
			spec.Name, report.Quantity(r.Rate),
			report.Duration(r.Before.P50), report.Duration(r.Before.P99), report.Duration(r.Before.P999),
			report.Duration(r.After.P50), report.Duration(r.After.P99), report.Duration(r.After.P999), report.Duration(r.After.Max),
			quotient(int64(r.After.P99), int64(r.Before.P99)), report.Duration(worstP99(r.Seconds)),
			report.Bytes(r.DiskBefore) + " → " + report.Bytes(r.DiskAfter), report.Bytes(r.RSSBefore) + " → " + report.Bytes(r.RSSAfter),
		})
		line := overTime(spec.Name, r.Seconds, func(l Latency) time.Duration { return l.P99 })
		for i := range line.Points {
			line.Points[i].X -= r.Due
		}
		plot.Lines = append(plot.Lines, line)
	}
	section.Tables, section.Plots = []report.Table{table}, []report.Plot{plot}
	return section
}
