//go:build linux

package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"cairn/bench/load"
	"cairn/bench/peer"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// takeoverExperiment lets one process of a server take over from another under
// load, again and again, and looks for the request that waited longest.
var takeoverExperiment = experiment{
	name: "takeover",
	cost: func(s *suite) time.Duration {
		return startCost + s.fillCost(s.Sessions) + s.Warmup + time.Duration(s.Takeovers+1)*s.Duration
	},
	run: runTakeover,
}

// takeoverPart is the rate of the traffic meanwhile, as a part of the peak.
const takeoverPart = 0.5

// takeovers is what was measured on one server.
type takeovers struct {
	Rate   float64         `json:"turnsPerSecond"`
	Quiet  time.Duration   `json:"longestWaitWithout"` // in a round without a takeover
	Waits  []time.Duration `json:"longestWaits"`       // one for each takeover
	Pauses []time.Duration `json:"pauses"`             // likewise: nobody served
	Lost   losses          `json:"lost"`
}

func runTakeover(ctx context.Context, s *suite) (report.Section, error) {
	cairns := slices.DeleteFunc(slices.Clone(s.Peers), func(spec peer.Spec) bool { return !spec.IsCairn() })
	measured, err := oneByOne(ctx, s, cairns, s.Sessions, s.MemoryMB, s.measureTakeovers)
	if err != nil {
		return report.Section{}, err
	}
	return s.takeoverSection(measured), nil
}

func (s *suite) measureTakeovers(ctx context.Context, c *contestant) (*takeovers, error) {
	o := workload.Options{Timeout: s.Timeout, Seed: s.Seed}
	if err := s.fill(ctx, c, workload.Fill, o); err != nil {
		return nil, err
	}
	flows := s.flows(c, workload.Session, o)
	peak, err := s.peak(ctx, c, flows)
	if err != nil {
		return nil, err
	}
	result := &takeovers{Rate: peak * takeoverPart}
	done := s.progress.phase(time.Duration(s.Takeovers+1)*s.Duration, "takeover · %s", c.Spec.Name)
	defer done()
	round := load.Options{Flows: flows, Duration: s.Duration, Rate: result.Rate}
	quiet, err := s.drive(ctx, c, round)
	if err != nil {
		return nil, err
	}
	result.Quiet = time.Duration(quiet.Latency().Max())
	for range s.Takeovers {
		all, paused, err := s.takeOverUnderLoad(ctx, c, round)
		if err != nil {
			return nil, err
		}
		result.Waits = append(result.Waits, time.Duration(all.Latency().Max()))
		result.Pauses = append(result.Pauses, paused)
	}
	result.Lost, err = s.audit(ctx, c)
	return result, err
}

// takeOverUnderLoad lets the server change its process in the midst of traffic. It
// also returns for how long nobody served.
func (s *suite) takeOverUnderLoad(ctx context.Context, c *contestant, o load.Options) (result *load.Result, paused time.Duration, err error) {
	var successor sync.WaitGroup
	var failed error
	o.Started = func() {
		successor.Go(func() {
			_ = sleep(ctx, o.Duration/3) // a cancelled run does it earlier
			paused, failed = c.Succeed(ctx)
		})
	}
	result, err = s.drive(ctx, c, o)
	successor.Wait()
	if err == nil {
		err = failed
	}
	return result, paused, err
}

func (s *suite) takeoverSection(measured map[string]*takeovers) report.Section {
	section := report.Section{
		Title: "Takeover",
		Summary: fmt.Sprintf("%d sessions are stored. Under web requests at %.0f %% of the peak rate, the server's process hands over to a new one, %d times. "+
			"No connection may close. At the end all sessions are read back and compared with what was acknowledged.",
			s.Sessions, 100*takeoverPart, s.Takeovers),
		Notes: []string{"The pause is the time in which nobody served, as the new process logs it. The wait is the longest that any operation of a round took, from the instant it was due."},
		Data:  measured,
	}
	table := report.Table{Columns: []string{"server", "web requests/s", "pause: median", "worst", "longest wait without", "with a takeover: median", "worst", "lost"}}
	for _, spec := range s.Peers {
		m := measured[spec.Name]
		if m == nil {
			table.Rows = append(table.Rows, []string{spec.Name, "", "cannot", "cannot", "", "", "", ""})
			continue
		}
		row := []string{spec.Name, fmt.Sprintf("%.0f", m.Rate)}
		row = append(row, medianAndWorst(m.Pauses)...)
		row = append(row, report.Duration(m.Quiet))
		row = append(row, medianAndWorst(m.Waits)...)
		table.Rows = append(table.Rows, append(row, m.Lost.String()))
	}
	section.Tables = []report.Table{table}
	return section
}

// medianAndWorst returns two cells of a table. Of an even number the median is the
// longer of the two in the middle.
func medianAndWorst(times []time.Duration) []string {
	sorted := slices.Sorted(slices.Values(times))
	return []string{report.Duration(sorted[len(sorted)/2]), report.Duration(sorted[len(sorted)-1])}
}
