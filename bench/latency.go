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

// latencyExperiment finds out how latency grows with the rate of requests.
var latencyExperiment = experiment{
	name: "latency",
	cost: func(s *suite) time.Duration {
		return startCost + s.fillCost(s.Sessions) + s.Warmup + time.Duration(len(s.loadSteps()))*s.Duration
	},
	run: runLatency,
}

// loadSteps are the rates to measure at, as parts of the peak.
func (s *suite) loadSteps() []float64 {
	if s.Quick {
		return []float64{0.3, 0.8}
	}
	return []float64{0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0}
}

// step is what was measured at one rate.
type step struct {
	Part  float64 `json:"partOfPeak"`
	Rate  float64 `json:"turnsPerSecond"`
	Round Round   `json:"round"`
}

func runLatency(ctx context.Context, s *suite) (report.Section, error) {
	steps, err := oneByOne(ctx, s, s.Peers, s.Sessions, s.MemoryMB, s.climb)
	if err != nil {
		return report.Section{}, err
	}
	return s.latencySection(steps), nil
}

// climb measures c at every step of load.
func (s *suite) climb(ctx context.Context, c *contestant) ([]step, error) {
	o := workload.Options{Timeout: s.Timeout, Seed: s.Seed, Validity: true}
	if err := s.fill(ctx, c, workload.Fill, o); err != nil {
		return nil, err
	}
	flows := s.flows(c, workload.Session, o)
	peak, err := s.peak(ctx, c, flows)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, part := range s.loadSteps() {
		done := s.progress.phase(s.Duration, "latency · %s at %.0f%% of its peak", c.Spec.Name, part*100)
		r, _, err := s.round(ctx, c, load.Options{Flows: flows, Duration: s.Duration, Rate: part * peak})
		done()
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{part, part * peak, r})
	}
	return steps, nil
}

// peak finds out how many turns per second c serves in a closed loop.
func (s *suite) peak(ctx context.Context, c *contestant, flows []load.Flow) (float64, error) {
	done := s.progress.phase(s.Warmup, "%s: find the peak", c.Spec.Name)
	defer done()
	r, _, err := s.round(ctx, c, load.Options{Flows: flows, Duration: s.Warmup})
	return r.TurnRate, err
}

func (s *suite) latencySection(steps map[string][]step) report.Section {
	section := report.Section{
		Title: "Latency at a given rate",
		Summary: "Web requests as memcached-session-manager makes them, at fixed rates that are parts of each server's own peak. " +
			"The latency of a web request counts from the instant at which it was due.",
		Data: steps,
	}
	table := report.Table{Columns: []string{"server", "of peak", "requests/s due", "served", "p50", "p99", "p99.9", "max", "CPU µs/op"}}
	plots := []report.Plot{
		{Title: "Median of web requests", XLabel: "web requests per second", YLabel: "milliseconds", LogY: true},
		{Title: "99th percentile of web requests", XLabel: "web requests per second", YLabel: "milliseconds", LogY: true},
	}
	for _, spec := range s.Peers {
		lines := [2]report.Line{{Name: spec.Name}, {Name: spec.Name}}
		for _, step := range steps[spec.Name] {
			r := &step.Round
			table.Rows = append(table.Rows, []string{
				spec.Name, percent(step.Part), report.Quantity(step.Rate), report.Quantity(r.TurnRate),
				report.Duration(r.Turn.P50), report.Duration(r.Turn.P99), report.Duration(r.Turn.P999), report.Duration(r.Turn.Max),
				fmt.Sprintf("%.2f", r.CPU()),
			})
			lines[0].Points = append(lines[0].Points, report.Point{X: r.TurnRate, Y: milliseconds(r.Turn.P50)})
			lines[1].Points = append(lines[1].Points, report.Point{X: r.TurnRate, Y: milliseconds(r.Turn.P99)})
		}
		plots[0].Lines, plots[1].Lines = append(plots[0].Lines, lines[0]), append(plots[1].Lines, lines[1])
	}
	section.Tables, section.Plots = []report.Table{table}, plots
	return section
}
