//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/bench/load"
	"cairn/bench/peer"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// coldExperiment finds out what sessions that have to come from a slow disk do
// to those that are in memory. Only the Cairn within this program has a disk
// that can be made slow.
var coldExperiment = experiment{
	name: "cold",
	cost: func(s *suite) time.Duration {
		cells := len(s.ReadDelays) * (len(coldConnections) + 2)
		return startCost + s.fillCost(s.Sessions) + time.Duration(cells)*(s.Duration+s.Warmup)
	},
	run: runCold,
}

const (
	hotRate        = 1000 // gets per second of sessions in memory, by others
	hotConnections = 4
	hotSessions    = 100
	coldMemoryMB   = 16 // for hot sessions
	hotBase        = 1 << 32
)

// coldConnections are how many at a time ask for sessions on the disk; sets come
// from as many as the last.
var coldConnections = []int{1, 8, 32}

// coldCell is what was measured at one delay of reads, with so many connections
// beside those of the hot sessions.
type coldCell struct {
	Delay       time.Duration `json:"readDelayNanoseconds"`
	Operation   string        `json:"operation"` // of the cold connections; "": there are none
	Connections int           `json:"connections"`
	Hot         Latency       `json:"hotLatency"`
	Rate        float64       `json:"coldPerSecond"`
	Cold        Latency       `json:"coldLatency"`
}

// cold are a slow Cairn and its two kinds of sessions.
type cold struct {
	*suite
	server  *contestant // with the cold sessions
	others  *contestant // the same server, with the hot ones
	traffic workload.Options
	sweeps  uint64 // measured so far, for the seeds
}

func runCold(ctx context.Context, s *suite) (report.Section, error) {
	c, err := s.startCold(ctx)
	if err != nil {
		return report.Section{}, err
	}
	var cells []coldCell
	for _, delay := range s.ReadDelays {
		if err = c.slowDown(ctx, delay); err != nil {
			break
		}
		var more []coldCell
		if more, err = c.cells(ctx, delay); err != nil {
			break
		}
		cells = append(cells, more...)
	}
	if err = errors.Join(err, c.server.leave()); err != nil {
		return report.Section{}, err
	}
	return coldSection(cells), nil
}

// startCold starts the server and stores all sessions, while its disk is fast.
func (s *suite) startCold(ctx context.Context) (*cold, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	server, err := peer.SlowCairn(self, 0).Start(ctx, peer.Options{
		Dir: filepath.Join(s.Dir, "cold"), MemoryMB: coldMemoryMB, Threads: len(s.ServerCPUs), CPUs: s.ServerCPUs,
	})
	if err != nil {
		return nil, err
	}
	c := &cold{
		suite: s, traffic: workload.Options{Timeout: max(s.Timeout, 24*time.Hour), Seed: s.Seed},
		server: &contestant{Server: server, population: workload.NewPopulation(s.pool, 0, s.Sessions)},
		others: &contestant{Server: server, population: workload.NewPopulation(s.pool, hotBase, hotSessions)},
	}
	for _, part := range []*contestant{c.server, c.others} {
		if err := s.fill(ctx, part, workload.Fill, c.traffic); err != nil {
			return nil, errors.Join(err, c.server.leave())
		}
	}
	return c, nil
}

// slowDown restarts the server, so that all sessions are in tables, with reads
// that take that long.
func (c *cold) slowDown(ctx context.Context, delay time.Duration) error {
	done := c.progress.phase(startCost, "cold · restart with reads of %v", delay)
	defer done()
	server := c.server.Server
	if _, err := server.Stop(); err != nil {
		return err
	}
	server.Spec.Args = peer.SlowCairn("", delay).Args
	if _, err := server.Restart(ctx); err != nil {
		return err
	}
	var warmth workload.Audit // reads each hot session once
	_, err := c.drive(ctx, c.others, load.Options{Flows: warmth.Flows(c.others.population, hotConnections, c.traffic)})
	return err
}

func (c *cold) cells(ctx context.Context, delay time.Duration) ([]coldCell, error) {
	cells := []coldCell{{Delay: delay}}
	for _, n := range coldConnections {
		cells = append(cells, coldCell{Delay: delay, Operation: "get", Connections: n})
	}
	cells = append(cells, coldCell{Delay: delay, Operation: "set", Connections: coldConnections[len(coldConnections)-1]})
	for i := range cells {
		if err := c.measure(ctx, &cells[i]); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

// measure puts both kinds of traffic on the server at the same time.
func (c *cold) measure(ctx context.Context, cell *coldCell) error {
	done := c.progress.phase(c.Warmup+c.Duration, "cold · reads of %v, cold connections: %s", cell.Delay, cell.who())
	defer done()
	hot := workload.Reads.Flows(c.others.population, hotConnections, c.traffic)
	if _, err := c.drive(ctx, c.others, load.Options{Flows: hot, Duration: c.Warmup}); err != nil {
		return err
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		r, err := c.drive(ctx, c.others, load.Options{Flows: hot, Duration: c.Duration, Rate: hotRate})
		if err == nil {
			cell.Hot = newLatency(r.Turns)
		}
		return err
	})
	if cell.Connections > 0 {
		both.Go(func() error { return c.sweep(ctx, cell) })
	}
	return both.Wait()
}

// sweep asks for cold sessions, or stores them.
func (c *cold) sweep(ctx context.Context, cell *coldCell) error {
	kind := workload.Sweep
	if cell.Operation == "set" {
		kind = workload.SweepWrites
	}
	c.sweeps++
	o := c.traffic
	o.Seed += c.sweeps // elsewhere than before, where all is in memory now
	r, err := c.drive(ctx, c.server, load.Options{Flows: kind.Flows(c.server.population, cell.Connections, o), Duration: c.Duration})
	if err == nil {
		cell.Rate, cell.Cold = float64(r.Operations())/r.Elapsed.Seconds(), newLatency(r.Latency())
	}
	return err
}

// who are the cold connections.
func (c *coldCell) who() string {
	if c.Connections == 0 {
		return "none"
	}
	return fmt.Sprintf("%d %s", c.Connections, c.Operation)
}

// bound is how many reads per second so many connections could make that wait
// for nothing but one read each.
func (c *coldCell) bound() float64 { return float64(c.Connections) / c.Delay.Seconds() }

func coldSection(cells []coldCell) report.Section {
	section := report.Section{
		Title: "Sessions on a slow disk",
		Summary: fmt.Sprintf("Reads of tables take a given time, in a Cairn within this program. %d connections get sessions that are "+
			"in memory, %d per second; beside them others get or set sessions that are not, as fast as answers come.", hotConnections, hotRate),
		Notes: []string{"The bound is the number of cold connections divided by the time of a read. A get may need no read, " +
			"where a block is in memory, or several."},
		Data: cells,
	}
	table := report.Table{Columns: []string{"server", "a read takes", "cold connections", "hot get p50", "p99", "max",
		"cold/s", "of the bound", "cold p50", "p99"}}
	plot := report.Plot{Title: "Gets of sessions in memory, p99", XLabel: "connections that get cold sessions", YLabel: "milliseconds"}
	for i := range cells {
		c := &cells[i]
		row := []string{"cairn", c.Delay.String(), c.who(), report.Duration(c.Hot.P50), report.Duration(c.Hot.P99), report.Duration(c.Hot.Max), "", "", "", ""}
		if c.Connections > 0 {
			row = append(row[:6], report.Quantity(c.Rate), report.Ratio(c.Rate/c.bound()), report.Duration(c.Cold.P50), report.Duration(c.Cold.P99))
		} else {
			plot.Lines = append(plot.Lines, report.Line{Name: "reads of " + c.Delay.String()})
		}
		table.Rows = append(table.Rows, row)
		if line := &plot.Lines[len(plot.Lines)-1]; c.Operation != "set" {
			line.Points = append(line.Points, report.Point{X: float64(c.Connections), Y: milliseconds(c.Hot.P99)})
		}
	}
	section.Tables, section.Plots = []report.Table{table}, []report.Plot{plot}
	return section
}
