//go:build linux

package bench

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"cairn/bench/report"
)

func throughputTable(entries []*entry, baseline *entry) report.Table {
	table := report.Table{
		Title: "Throughput and processor time of the server",
		Columns: []string{"server", "ops/s", "±", "ratio", "turns/s", "CPU µs/op", "±", "ratio",
			"user µs", "system µs", "kernel threads µs", "busy", "client busy", "hits"},
	}
	throughput := func(r *Round) float64 { return r.Throughput }
	for _, e := range entries {
		rate := newSpread(each(e.rounds, throughput))
		cost := newSpread(each(e.rounds, (*Round).CPU))
		table.Rows = append(table.Rows, []string{
			e.name(),
			report.Quantity(rate.Median), percent(rate.Deviation()), report.Ratio(ratio(e.rounds, baseline.rounds, throughput)),
			report.Quantity(median(e.rounds, func(r *Round) float64 { return r.TurnRate })),
			fmt.Sprintf("%.2f", cost.Median), percent(cost.Deviation()), report.Ratio(ratio(e.rounds, baseline.rounds, (*Round).CPU)),
			fmt.Sprintf("%.2f", median(e.rounds, func(r *Round) float64 { return r.UserCPU })),
			fmt.Sprintf("%.2f", median(e.rounds, func(r *Round) float64 { return r.SystemCPU })),
			fmt.Sprintf("%.2f", median(e.rounds, func(r *Round) float64 { return r.KernelCPU })),
			percent(median(e.rounds, func(r *Round) float64 { return r.ServerBusy })),
			percent(median(e.rounds, func(r *Round) float64 { return r.ClientBusy })),
			percent(median(e.rounds, func(r *Round) float64 { return r.HitRatio })),
		})
	}
	return table
}

func percent(part float64) string {
	if math.IsNaN(part) || math.IsInf(part, 0) {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", part*100)
}

// latencyTable has a row for each server and kind of operation.
func latencyTable(entries []*entry) report.Table {
	table := report.Table{
		Title:   "Latency, as the client sees it",
		Columns: []string{"server", "operation", "p50", "p99", "p99.9", "max"},
	}
	for _, e := range entries {
		var kinds []string
		for kind := range e.rounds[0].Kinds {
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		for _, kind := range kinds {
			table.Rows = append(table.Rows, latencyRow(e, kind, func(r *Round) Latency { return r.Kinds[kind] }))
		}
		if len(kinds) > 1 {
			table.Rows = append(table.Rows, latencyRow(e, "all of a turn", func(r *Round) Latency { return r.Turn }))
		}
	}
	return table
}

func latencyRow(e *entry, what string, of func(r *Round) Latency) []string {
	figure := func(pick func(l Latency) time.Duration) string {
		return report.Duration(medianTime(e.rounds, func(r *Round) time.Duration { return pick(of(r)) }))
	}
	worst := time.Duration(0)
	for i := range e.rounds {
		worst = max(worst, of(&e.rounds[i]).Max)
	}
	return []string{
		e.name(), what,
		figure(func(l Latency) time.Duration { return l.P50 }),
		figure(func(l Latency) time.Duration { return l.P99 }),
		figure(func(l Latency) time.Duration { return l.P999 }),
		report.Duration(worst),
	}
}

func resourceTable(entries []*entry) report.Table {
	table := report.Table{
		Title: "Memory and disk, from the server's start to its clean end",
		Columns: []string{"server", "RSS", "disk", "disk / live data", "sent by clients", "written to disk",
			"write amplification"},
	}
	for _, e := range entries {
		table.Rows = append(table.Rows, []string{
			e.name(),
			report.Bytes(e.rounds[len(e.rounds)-1].RSS), report.Bytes(e.disk), quotient(e.disk, e.live),
			report.Bytes(e.sent), report.Bytes(e.written), quotient(e.written, e.sent),
		})
	}
	return table
}

func quotient(a, b int64) string { return report.Ratio(float64(a) / float64(b)) }

// latencyCurves draws the latencies of all rounds by percentile.
func latencyCurves(title string, entries []*entry) report.Plot {
	plot := report.Plot{Title: title, XLabel: "percentile", YLabel: "milliseconds", LogY: true, Percentiles: true}
	for _, e := range entries {
		plot.Lines = append(plot.Lines, latencyCurve(e.name(), e.all.Latency()))
	}
	return plot
}

func latencyCurve(name string, h *hdrhistogram.Histogram) report.Line {
	line := report.Line{Name: name}
	for _, bracket := range h.CumulativeDistributionWithTicks(5) {
		line.Points = append(line.Points, report.Point{X: bracket.Quantile, Y: milliseconds(time.Duration(bracket.ValueAt))})
	}
	return line
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
