//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"

	"cairn/bench/report"
	"cairn/bench/workload"
)

// ratesExperiment finds out what an operation costs at the rates that sites have,
// which are far from any server's peak: nothing is shared with the next operation.
var ratesExperiment = experiment{
	name: "rates",
	cost: func(s *suite) time.Duration {
		return startCost + s.fillCost(s.Sessions) + s.Warmup + time.Duration(len(s.Rates)*s.Rounds)*(s.Duration+settleTime)
	},
	run: runRates,
}

var ratesTraffic = traffic{name: "rates", kind: workload.Mixed}

// atRate is what was measured at one rate.
type atRate struct {
	Rate   int                `json:"operationsPerSecond"`
	Rounds map[string][]Round `json:"rounds"` // by server
}

func runRates(ctx context.Context, s *suite) (report.Section, error) {
	entries, err := ratesTraffic.enterAll(ctx, s, ratesTraffic.setup(s))
	var all []atRate
	for _, rate := range s.Rates {
		if err != nil {
			break
		}
		for _, e := range entries {
			e.rate, e.rounds, e.all = float64(rate), nil, nil
		}
		err = s.alternate(ctx, fmt.Sprintf("rates · %d a second", rate), entries)
		all = append(all, atRate{rate, roundsByServer(entries)})
	}
	if err = leaveAll(contestantsOf(entries), err); err != nil {
		return report.Section{}, err
	}
	return s.ratesSection(all), nil
}

func roundsByServer(entries []*entry) map[string][]Round {
	rounds := map[string][]Round{}
	for _, e := range entries {
		rounds[e.name()] = e.rounds
	}
	return rounds
}

func (s *suite) ratesSection(all []atRate) report.Section {
	section := report.Section{
		Title: "Cost of an operation at fixed rates",
		Summary: "One get or set at a time, as many of these as of those, over all sessions alike, at rates that are the same for " +
			"every server. What an operation costs there is what a site pays; the latency counts from the instant at which it was due.",
		Data: all,
		Notes: []string{
			fmt.Sprintf("Medians of %d rounds; ± is half the distance between the extremes. "+
				"Ratios are the medians of each round's ratio to %s.", s.Rounds, s.Baseline),
			"Switches are those of all threads of the server.", tailNote,
		},
	}
	cost := report.Table{
		Title: "Processor time and latency",
		Columns: []string{"server", "ops/s due", "served", "CPU µs/op", "±", "ratio", "user µs", "system µs", "kernel threads µs", "switches/op",
			"get p50", "get p99.9", "set p50", "set p99", "set p99.9", "max"},
	}
	cpu := report.Plot{Title: "Processor time of an operation", XLabel: "operations per second", YLabel: "microseconds"}
	lines := map[string]*report.Line{}
	tails := newTailTable("ops/s due")
	for _, at := range all {
		for _, spec := range s.Peers {
			rounds := at.Rounds[spec.Name]
			cost.Rows = append(cost.Rows, costRow(spec.Name, at.Rate, rounds, at.Rounds[s.Baseline]))
			tails.Rows = append(tails.Rows, tailRow(rounds, spec.Name, report.Quantity(float64(at.Rate))))
			if lines[spec.Name] == nil {
				lines[spec.Name] = &report.Line{Name: spec.Name}
			}
			lines[spec.Name].Points = append(lines[spec.Name].Points, report.Point{X: float64(at.Rate), Y: median(rounds, (*Round).CPU)})
		}
	}
	for _, spec := range s.Peers {
		if line := lines[spec.Name]; line != nil {
			cpu.Lines = append(cpu.Lines, *line)
		}
	}
	section.Tables, section.Plots = []report.Table{cost, tails}, []report.Plot{cpu}
	return section
}

func costRow(name string, rate int, rounds, baseline []Round) []string {
	cost := newSpread(each(rounds, (*Round).CPU))
	number := func(figure func(r *Round) float64) string { return fmt.Sprintf("%.2f", median(rounds, figure)) }
	latency := func(figure func(r *Round) time.Duration) string { return report.Duration(medianTime(rounds, figure)) }
	return []string{
		name, report.Quantity(float64(rate)), report.Quantity(median(rounds, func(r *Round) float64 { return r.TurnRate })),
		fmt.Sprintf("%.1f", cost.Median), percent(cost.Deviation()), report.Ratio(ratio(rounds, baseline, (*Round).CPU)),
		number(func(r *Round) float64 { return r.UserCPU }), number(func(r *Round) float64 { return r.SystemCPU }),
		number(func(r *Round) float64 { return r.KernelCPU }),
		number(func(r *Round) float64 { return r.Switches }),
		latency(func(r *Round) time.Duration { return r.Kinds["get"].P50 }),
		latency(func(r *Round) time.Duration { return r.Kinds["get"].P999 }),
		latency(func(r *Round) time.Duration { return r.Kinds["set"].P50 }),
		latency(func(r *Round) time.Duration { return r.Kinds["set"].P99 }),
		latency(func(r *Round) time.Duration { return r.Kinds["set"].P999 }),
		latency(func(r *Round) time.Duration { return r.Latency.Max }),
	}
}

// newTailTable makes the table that tailRow has rows for.
func newTailTable(more ...string) report.Table {
	columns := append([]string{"server"}, more...)
	return report.Table{
		Title: "The slowest operations, and the disk in the same seconds",
		Columns: append(columns, "bare sync p50", "worst", "set p99.9", "less the bare sync",
			"worst operation", "by the bare sync", "100 ms without a slow sync"),
	}
}

const tailNote = "A bare sync is a write of 4 KiB and an fdatasync, 50 times a second beside each round on the same file system. " +
	"From each set the longest bare sync of the second in which it ended is taken off before the percentile, which is the median over the rounds. " +
	"The worst operation is that of all rounds. The last column counts operations of 100 ms and more in seconds whose longest bare sync took less than 30 ms."

// tailRow sums up what the slowest operations of rounds had to do with the disk.
// It begins with the given cells.
func tailRow(rounds []Round, cells ...string) []string {
	var worst *tail
	var bare time.Duration
	var unexplained int64
	for i := range rounds {
		t := &rounds[i].Tail
		if worst == nil || t.Worst > worst.Worst {
			worst = t
		}
		bare = max(bare, t.BareWorst)
		unexplained += t.Unexplained
	}
	if worst == nil {
		worst = new(tail)
	}
	set, excess := "-", "-"
	if len(rounds) > 0 && hasStores(&rounds[0]) {
		set = report.Duration(medianTime(rounds, func(r *Round) time.Duration { return r.Kinds["set"].P999 }))
		excess = report.Duration(medianTime(rounds, func(r *Round) time.Duration { return r.Tail.Excess }))
	}
	return append(cells,
		report.Duration(medianTime(rounds, func(r *Round) time.Duration { return r.Tail.BareP50 })), report.Duration(bare),
		set, excess, report.Duration(worst.Worst), report.Ratio(worst.Amplified), fmt.Sprint(unexplained))
}

func hasStores(r *Round) bool {
	_, ok := r.Kinds["set"]
	return ok
}
