//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/bench/load"
	"cairn/bench/peer"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// spaceExperiment finds out what a server writes and keeps on disk over time.
var spaceExperiment = experiment{
	name: "space",
	cost: func(s *suite) time.Duration { return startCost + s.fillCost(s.spaceSessions()) + s.Long/2 },
	run:  runSpace,
}

// spaceSessions are so many that they outgrow every buffer.
func (s *suite) spaceSessions() int { return 5 * s.Sessions }

// space is what one server needed.
type space struct {
	Round   Round              `json:"round"`
	Samples []sample           `json:"samples"`
	Live    int64              `json:"liveBytes"`    // keys and values of live sessions
	Sent    int64              `json:"sentBytes"`    // since the start
	Written int64              `json:"writtenBytes"` // since the start, its clean end included
	Device  int64              `json:"deviceBytes"`  // that the disk was given meanwhile; 0: unknown
	Disk    peer.Disk          `json:"disk"`         // at the end of the traffic
	Stopped peer.Disk          `json:"diskStopped"`
	Metrics map[string]float64 `json:"metrics,omitempty"` // Cairn's own, at the end of the traffic
}

// sample is the size of the files at one moment.
type sample struct {
	At   float64   `json:"at"` // seconds
	Disk peer.Disk `json:"disk"`
}

func runSpace(ctx context.Context, s *suite) (report.Section, error) {
	spaces := map[string]*space{}
	for _, spec := range s.Peers {
		if !spec.Durable() {
			continue
		}
		before, err := diskWritten(s.Dir)
		if err != nil {
			return report.Section{}, err
		}
		c, err := s.enter(ctx, spec, s.spaceSessions(), s.MemoryMB)
		if err != nil {
			return report.Section{}, err
		}
		spaces[spec.Name], err = s.measureSpace(ctx, c, before)
		if err = leaveAll([]*contestant{c}, err); err != nil {
			return report.Section{}, err
		}
	}
	return s.spaceSection(spaces), nil
}

// diskWritten is peer.DiskWritten, and 0 where there is no single disk.
func diskWritten(dir string) (int64, error) {
	n, err := peer.DiskWritten(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return n, err
}

// measureSpace measures c, before whose start the disk had been given that many
// bytes.
func (s *suite) measureSpace(ctx context.Context, c *contestant, before int64) (*space, error) {
	o := workload.Options{Timeout: s.Timeout, Seed: s.Seed}
	if err := s.fill(ctx, c, workload.Fill, o); err != nil {
		return nil, err
	}
	done := s.progress.phase(s.Long/2, "space · %s for %v", c.Spec.Name, s.Long/2)
	defer done()
	result := &space{}
	group, groupCtx := errgroup.WithContext(ctx)
	finished := make(chan struct{})
	group.Go(func() (err error) {
		defer close(finished)
		flows := s.flows(c, workload.Sliding, o)
		result.Round, _, err = s.round(groupCtx, c, load.Options{Flows: flows, Duration: s.Long / 2})
		return err
	})
	group.Go(func() (err error) {
		result.Samples, err = sampleDisk(c, finished)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := result.conclude(ctx, c); err != nil {
		return nil, err
	}
	after, err := diskWritten(s.Dir)
	result.Device = after - before
	return result, err
}

// sampleDisk looks at the size of the files every second until finished.
func sampleDisk(c *contestant, finished <-chan struct{}) (samples []sample, err error) {
	start := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		disk, err := c.Disk()
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample{time.Since(start).Seconds(), disk})
		select {
		case <-finished:
			return samples, nil
		case <-tick.C:
		}
	}
}

func (p *space) conclude(ctx context.Context, c *contestant) (err error) {
	if p.Disk, err = c.Disk(); err != nil {
		return err
	}
	if p.Metrics, err = c.Metrics(ctx); err != nil {
		return err
	}
	if _, err := c.Stop(); err != nil {
		return err
	}
	p.Live, p.Sent, p.Written = c.population.Bytes(), c.written, c.Final().Written
	p.Stopped, err = c.Disk()
	return err
}

// engineAmplification is what a Cairn says it wrote until the end of the
// traffic, by what it was sent: without whole pages, and without what its end
// flushes.
func (p *space) engineAmplification() string {
	if len(p.Metrics) == 0 {
		return "-"
	}
	var written float64
	for _, purpose := range []string{"wal", "flush", "compaction"} {
		written += p.Metrics[`cairn_disk_written_bytes_total{purpose="`+purpose+`"}`]
	}
	return report.Ratio(written / float64(p.Sent))
}

func (s *suite) spaceSection(spaces map[string]*space) report.Section {
	section := report.Section{
		Title: "Space and write amplification",
		Summary: fmt.Sprintf("%d sessions are stored, and then used with a sliding expiry for %v as fast as the server goes: "+
			"a get, then a touch (nine of ten times) or a set. Servers that keep nothing are left out.", s.spaceSessions(), s.Long/2),
		Data: spaces,
		Notes: []string{
			"Disk is what the files take from others, with what is reserved for them to grow into; files is what they hold.",
			"Sent are keys and uncompressed values of stores and the keys of touches, from the server's start on. " +
				"Written is what the kernel counts for the process, its clean end included: whole pages, and on new kernels pages of up to megabytes, of which it writes parts. " +
				"The disk's own count has all that was written meanwhile, by whomever, the file system's own records included.",
		},
	}
	table := report.Table{Columns: []string{"server", "ops/s", "live data", "disk", "files", "disk / live", "files / live",
		"files after the end", "sent", "written", "write amplification", "by the disk's count", "by the engine's count"}}
	plot := report.Plot{Title: "Size of the files", XLabel: "seconds", YLabel: "MiB"}
	for _, spec := range s.Peers {
		p := spaces[spec.Name]
		if p == nil {
			continue
		}
		table.Rows = append(table.Rows, []string{
			spec.Name, report.Quantity(p.Round.Throughput), report.Bytes(p.Live), report.Bytes(p.Disk.Allocated), report.Bytes(p.Disk.Length),
			quotient(p.Disk.Allocated, p.Live), quotient(p.Disk.Length, p.Live), report.Bytes(p.Stopped.Length), report.Bytes(p.Sent), report.Bytes(p.Written), quotient(p.Written, p.Sent), quotient(p.Device, p.Sent), p.engineAmplification(),
		})
		line := report.Line{Name: spec.Name}
		for _, sample := range p.Samples {
			line.Points = append(line.Points, report.Point{X: sample.At, Y: float64(sample.Disk.Length) / (1 << 20)})
		}
		plot.Lines = append(plot.Lines, line)
	}
	section.Tables, section.Plots = []report.Table{table}, []report.Plot{plot}
	return section
}
