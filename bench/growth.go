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

// growthExperiment stores more and more sessions and watches what that does to
// reads, memory and disk.
var growthExperiment = experiment{
	name: "growth",
	cost: func(s *suite) time.Duration {
		largest := s.Growth[len(s.Growth)-1]
		return startCost + s.fillCost(largest) + time.Duration(len(s.Growth))*2*(s.Warmup+s.Duration)
	},
	run: runGrowth,
}

// growthHot is how many sessions are read all the time, whatever their number.
const growthHot = 5000

// size is what was measured with so many sessions.
type size struct {
	Sessions int           `json:"sessions"`
	Live     int64         `json:"liveBytes"`
	Fill     time.Duration `json:"fillNanoseconds"` // of what was added
	Added    int           `json:"added"`
	Hot      Round         `json:"hot"`
	Uniform  Round         `json:"uniform"`
}

func runGrowth(ctx context.Context, s *suite) (report.Section, error) {
	sizes, err := oneByOne(ctx, s, s.Peers, 0, s.MemoryMB, s.grow)
	if err != nil {
		return report.Section{}, err
	}
	return s.growthSection(sizes), nil
}

// grow measures c at every size, until it has begun to forget.
func (s *suite) grow(ctx context.Context, c *contestant) ([]size, error) {
	var all []size
	// The sessions must outlive the experiment.
	o := workload.Options{Timeout: max(s.Timeout, 24*time.Hour), Seed: s.Seed}
	for _, sessions := range s.Growth {
		z := size{Sessions: sessions, Added: sessions - c.population.Size()}
		c.population.Grow(sessions)
		start := time.Now()
		if err := s.fill(ctx, c, workload.Fill, o); err != nil {
			return nil, err
		}
		z.Fill, z.Live = time.Since(start), c.population.Bytes()
		var err error
		hot := o
		hot.Hot = growthHot
		if z.Hot, err = s.readAt(ctx, c, sessions, "hot", hot); err != nil {
			return nil, err
		}
		if z.Uniform, err = s.readAt(ctx, c, sessions, "all", o); err != nil {
			return nil, err
		}
		all = append(all, z)
		if z.Uniform.HitRatio < 0.5 {
			return all, nil
		}
	}
	return all, nil
}

// readAt measures gets after a warm-up.
func (s *suite) readAt(ctx context.Context, c *contestant, sessions int, which string, o workload.Options) (Round, error) {
	done := s.progress.phase(s.Warmup+s.Duration, "growth · %s: read %s of %d sessions", c.Spec.Name, which, sessions)
	defer done()
	flows := s.flows(c, workload.Reads, o)
	if _, err := s.drive(ctx, c, load.Options{Flows: flows, Duration: s.Warmup}); err != nil {
		return Round{}, err
	}
	r, _, err := s.round(ctx, c, load.Options{Flows: flows, Duration: s.Duration})
	return r, err
}

func (s *suite) growthSection(sizes map[string][]size) report.Section {
	section := report.Section{
		Title: "Growth",
		Summary: fmt.Sprintf("More and more sessions, with %d MiB for each server. Hot reads go to %d of them, all reads to all alike.",
			s.MemoryMB, growthHot),
		Notes: []string{fmt.Sprintf("The budget is the %d MiB that each server may use for sessions (Cairn: for hot ones).", s.MemoryMB),
			"A server that has forgotten more than half of the sessions is not made to grow further."},
		Data: sizes,
	}
	table := report.Table{Columns: []string{"server", "sessions", "stored/s", "hot p50", "hot p99", "hot CPU µs/op", "all p50", "all p99",
		"all hits", "RSS", "RSS beyond the budget, per million", "disk", "disk / live"}}
	plots := []report.Plot{
		{Title: "Median of hot reads", XLabel: "sessions", YLabel: "milliseconds", LogX: true},
		{Title: "Median of reads from all sessions", XLabel: "sessions", YLabel: "milliseconds", LogX: true},
		{Title: "Resident memory", XLabel: "sessions", YLabel: "MiB", LogX: true},
		{Title: "Disk", XLabel: "sessions", YLabel: "MiB", LogX: true, LogY: true},
	}
	for _, spec := range s.Peers {
		lines := make([]report.Line, len(plots))
		for _, z := range sizes[spec.Name] {
			table.Rows = append(table.Rows, s.growthRow(spec.Name, &z))
			for i, y := range []float64{
				milliseconds(z.Hot.Latency.P50), milliseconds(z.Uniform.Latency.P50),
				float64(z.Uniform.RSS) / (1 << 20), float64(z.Uniform.Disk) / (1 << 20),
			} {
				lines[i].Name = spec.Name
				lines[i].Points = append(lines[i].Points, report.Point{X: float64(z.Sessions), Y: y})
			}
		}
		for i := range plots {
			plots[i].Lines = append(plots[i].Lines, lines[i])
		}
	}
	section.Tables, section.Plots = []report.Table{table}, plots
	return section
}

func (s *suite) growthRow(name string, z *size) []string {
	beyond := float64(max(z.Uniform.RSS-int64(s.MemoryMB)<<20, 0)) / float64(z.Sessions)
	return []string{
		name, report.Quantity(float64(z.Sessions)), report.Quantity(float64(z.Added) / z.Fill.Seconds()),
		report.Duration(z.Hot.Latency.P50), report.Duration(z.Hot.Latency.P99), fmt.Sprintf("%.2f", z.Hot.CPU()),
		report.Duration(z.Uniform.Latency.P50), report.Duration(z.Uniform.Latency.P99), percent(z.Uniform.HitRatio),
		report.Bytes(z.Uniform.RSS), report.Bytes(int64(beyond * 1e6)),
		report.Bytes(z.Uniform.Disk), quotient(z.Uniform.Disk, z.Live),
	}
}
