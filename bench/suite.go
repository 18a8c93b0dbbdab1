//go:build linux

package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"cairn/bench/load"
	"cairn/bench/payload"
	"cairn/bench/peer"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// experiment is one workload: how it is measured, and about how long it takes
// for one server.
type experiment struct {
	name string
	cost func(s *suite) time.Duration
	run  func(ctx context.Context, s *suite) (report.Section, error)
}

// experiments in the order in which they run.
func experiments() []experiment {
	var all []experiment
	for _, t := range steadyTraffic {
		all = append(all, t.experiment())
	}
	return append(all, ratesExperiment, coldExperiment, latencyExperiment, pacedExperiment, spaceExperiment, stormExperiment, growthExperiment, restartExperiment, takeoverExperiment, clusterExperiment)
}

// Workloads lists the names of all workloads.
func Workloads() []string {
	var names []string
	for _, e := range experiments() {
		names = append(names, e.name)
	}
	return names
}

// suite is a run under way.
type suite struct {
	Config
	pool     *payload.Pool
	progress *progress
	servers  map[string]report.Server // that took part, by name
}

// Run carries out c. It fails at the first thing that goes wrong, such as an
// answer that is not right: figures beside a fault would mislead. What was
// finished before is reported all the same.
func Run(ctx context.Context, c Config) (*report.Report, error) {
	if err := c.prepare(); err != nil {
		return nil, err
	}
	chosen, err := choose(c.Workloads)
	if err != nil {
		return nil, err
	}
	remove, err := c.makeDir()
	if err != nil {
		return nil, err
	}
	s := &suite{Config: c, pool: payload.NewPool(c.Payload), servers: map[string]report.Server{}}
	r := &report.Report{
		Title: "Cairn and its peers", Started: time.Now(), Command: c.Command, Facts: c.facts(s.pool.MeanSize()),
	}
	err = errors.Join(s.runAll(ctx, chosen, r), remove())
	r.Took = time.Since(r.Started).Round(time.Second).String()
	for _, spec := range c.Peers {
		if server, ok := s.servers[spec.Name]; ok {
			r.Servers = append(r.Servers, server)
		}
	}
	if c.Out != "" && len(r.Sections) > 0 {
		err = errors.Join(err, r.Write(c.Out))
	}
	return r, err
}

func choose(names []string) ([]experiment, error) {
	byName := map[string]experiment{}
	for _, e := range experiments() {
		byName[e.name] = e
	}
	var chosen []experiment
	for _, name := range names {
		e, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("bench: unknown workload %q: want some of %v", name, Workloads())
		}
		chosen = append(chosen, e)
	}
	return chosen, nil
}

func (s *suite) runAll(ctx context.Context, chosen []experiment, r *report.Report) error {
	var total time.Duration
	for _, e := range chosen {
		total += e.cost(s) * time.Duration(len(s.Peers))
	}
	s.progress = newProgress(s.Config.Progress, total)
	defer s.progress.finish()
	for _, e := range chosen {
		section, err := e.run(ctx, s)
		if err != nil {
			return fmt.Errorf("bench: %s: %w", e.name, err)
		}
		r.Sections = append(r.Sections, section)
		if s.Out != "" { // an interrupted run keeps what it has
			if err := r.Write(s.Out); err != nil {
				return err
			}
		}
	}
	return nil
}

// contestant is a server in an experiment, and what was put into it.
type contestant struct {
	*peer.Server
	population *workload.Population
	written    int64 // keys and values that it was sent since its start
	stores     int64 // sets and adds among its operations

	label  string         // in reports; "": the name of its Spec
	others []*peer.Server // nodes that keep the same sessions
}

// name is what reports call it.
func (c *contestant) name() string { return cmp.Or(c.label, c.Spec.Name) }

// nodes are the server and the others that keep the same sessions.
func (c *contestant) nodes() []*peer.Server { return append([]*peer.Server{c.Server}, c.others...) }

// Usage is what all nodes have cost.
func (c *contestant) Usage() (sum peer.Usage, err error) {
	for _, n := range c.nodes() {
		u, err := n.Usage()
		if err != nil {
			return sum, err
		}
		sum.User, sum.System = sum.User+u.User, sum.System+u.System
		sum.RSS, sum.PeakRSS = sum.RSS+u.RSS, sum.PeakRSS+u.PeakRSS
		sum.Written, sum.Switches = sum.Written+u.Written, sum.Switches+u.Switches
	}
	return sum, nil
}

// enter starts a server for an experiment. leave stops it and deletes its
// files.
func (s *suite) enter(ctx context.Context, spec peer.Spec, sessions, memoryMB int) (*contestant, error) {
	done := s.progress.phase(startCost, "%s: start", spec.Name)
	defer done()
	server, err := spec.Start(ctx, peer.Options{
		Dir: filepath.Join(s.Dir, spec.Name), MemoryMB: memoryMB, Threads: len(s.ServerCPUs), CPUs: s.ServerCPUs,
	})
	if err != nil {
		return nil, err
	}
	if _, known := s.servers[spec.Name]; !known {
		s.servers[spec.Name] = report.Server{Name: spec.Name, Version: server.Version(), Command: commandLine(server, s.Dir)}
	}
	return &contestant{Server: server, population: workload.NewPopulation(s.pool, 0, sessions)}, nil
}

// allocated is the disk space that all nodes take from others, in bytes.
func (c *contestant) allocated() (sum int64, err error) {
	for _, n := range c.nodes() {
		disk, err := n.Disk()
		if err != nil {
			return 0, err
		}
		sum += disk.Allocated
	}
	return sum, nil
}

func (c *contestant) leave() (err error) {
	for _, n := range c.nodes() {
		n.Kill()
		err = errors.Join(err, n.Remove())
	}
	return err
}

// oneByOne measures servers one after the other, each alone and with room for so
// many sessions, and gives what was measured by their names.
func oneByOne[T any](ctx context.Context, s *suite, peers []peer.Spec, sessions, memoryMB int,
	measure func(context.Context, *contestant) (T, error)) (map[string]T, error) {
	results := map[string]T{}
	for _, spec := range peers {
		c, err := s.enter(ctx, spec, sessions, memoryMB)
		if err != nil {
			return nil, err
		}
		results[spec.Name], err = measure(ctx, c)
		if err = errors.Join(err, c.leave()); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// leaveAll ends an experiment, after err.
func leaveAll(contestants []*contestant, err error) error {
	for _, c := range contestants {
		err = errors.Join(err, c.leave())
	}
	return err
}

// flows make traffic for c. Only Cairn promises never to drop a live session,
// so it alone is held to that.
func (s *suite) flows(c *contestant, kind workload.Kind, o workload.Options) []load.Flow {
	o.Strict = c.Spec.IsCairn()
	return kind.Flows(c.population, s.Connections, o)
}

// drive puts traffic on c. A server that refuses or lies fails the run.
func (s *suite) drive(ctx context.Context, c *contestant, o load.Options) (*load.Result, error) {
	dialect, err := c.Spec.Dialect(s.Protocol)
	if err != nil {
		return nil, err
	}
	o.Address, o.Dialect, o.CPUs = c.Address, dialect, s.ClientCPUs
	o.Workers = max(len(s.ClientCPUs), 1)
	run := load.Run
	if s.Ordinary {
		run = load.RunOrdinary
	}
	result, err := run(ctx, o)
	if err == nil {
		c.written += result.Written
		c.stores += result.Kinds[load.Set].Count + result.Kinds[load.Add].Count
		err = result.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name(), err)
	}
	return result, nil
}

// fill stores what is missing of the population, in pipelines.
func (s *suite) fill(ctx context.Context, c *contestant, kind workload.Kind, o workload.Options) error {
	done := s.progress.phase(s.fillCost(c.population.Size()), "%s: store %d sessions", c.name(), c.population.Size())
	defer done()
	o.Depth = 16
	_, err := s.drive(ctx, c, load.Options{Flows: s.flows(c, kind, o)})
	return err
}

// Rough costs, for the progress line only.
const (
	startCost  = 500 * time.Millisecond
	fillRate   = 40_000 // sessions per second
	settleTime = 300 * time.Millisecond
)

func (s *suite) fillCost(sessions int) time.Duration {
	return time.Duration(float64(sessions) / fillRate * float64(time.Second))
}

// settle gives the servers a moment after what was before, so that its
// aftermath does not count against the next one.
func (s *suite) settle(ctx context.Context) error {
	if s.Quick {
		return ctx.Err()
	}
	return sleep(ctx, settleTime)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// commandLine writes how the server was started, with DIR for the directory of
// its files.
func commandLine(server *peer.Server, dir string) string {
	return strings.ReplaceAll(shellCommand(server.Command), dir, "DIR")
}
