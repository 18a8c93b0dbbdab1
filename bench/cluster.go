//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cairn/bench/peer"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// clusterExperiment compares three nodes that keep the same sessions with one.
var clusterExperiment = experiment{
	name: "cluster",
	cost: func(s *suite) time.Duration {
		perTraffic := s.Warmup + time.Duration(s.Rounds)*(s.Duration+settleTime)
		return startCost + s.fillCost(s.Sessions) + time.Duration(len(clusterTraffic))*perTraffic
	},
	run: runCluster,
}

const clusterNodes = 3

// clusterTraffic are those of steadyTraffic that are measured.
var clusterTraffic = []string{"get", "set", "get-pipelined", "set-pipelined"}

// team is one server, or the nodes of a cluster, and how clients use it.
type team struct {
	name    string
	servers []*peer.Server
	roles   []*entry // by the node that clients use, with the same population
	before  bytesWritten
	moved   int // rounds before which the nodes had another leader than before the last
	leader  int
}

// clusterRun is the experiment under way.
type clusterRun struct {
	*suite
	teams   []*team
	section report.Section
	sets    report.Table
	tails   report.Table
	data    clusterData
}

// clusterData is what was measured.
type clusterData struct {
	Rounds  map[string]map[string][]Round `json:"rounds"`  // by traffic and server
	Written map[string]clusterWritten     `json:"written"` // by server
}

// clusterWritten is what sets have cost the disk of each node, in bytes a set.
type clusterWritten struct {
	Sets   int64   `json:"sets"`
	Log    float64 `json:"log"`
	Tables float64 `json:"tables"`

	// Repeats is how many times nodes have sent a burst again, since there was no leader
	// for instance: it is in the log twice then.
	Repeats int64 `json:"repeats"`
}

func runCluster(ctx context.Context, s *suite) (report.Section, error) {
	r := &clusterRun{suite: s, tails: newTailTable("traffic"),
		data: clusterData{Rounds: map[string]map[string][]Round{}, Written: map[string]clusterWritten{}}}
	r.section = report.Section{
		Title: "Three nodes against one",
		Summary: "Gets and sets over all sessions alike, on a single Cairn, on a cluster of three Cairns, at the node that leads and at " +
			"one that does not, and on a Redis with two replicas: all three of these sync each write, and clients send WAIT 1 behind " +
			"the sets of a pipeline, which tells that a replica has received them. Nodes share the cores of the servers.",
	}
	r.sets = report.Table{
		Title: "Throughput, latency, and the processor time of all nodes together",
		Columns: []string{"server", "traffic", "ops/s", "±", "ratio", "CPU µs/op", "±", "ratio", "kernel threads µs", "busy", "client busy",
			"p50", "p99", "p99.9", "max"},
	}
	err := r.enter(ctx)
	for _, t := range steadyTraffic {
		for _, name := range clusterTraffic {
			if err == nil && t.name == name {
				err = r.measure(ctx, &t)
			}
		}
	}
	var written report.Table
	if err == nil {
		written, err = r.written(ctx)
	}
	if err != nil {
		err = errors.Join(err, r.fallen())
	}
	for _, t := range r.teams {
		err = errors.Join(err, t.roles[0].leave())
	}
	for _, spec := range s.Peers {
		err = errors.Join(err, os.RemoveAll(r.teamDir(spec)))
	}
	if err != nil {
		return report.Section{}, err
	}
	r.section.Data, r.section.Tables = r.data, []report.Table{r.sets, written, r.tails}
	r.notes()
	return r.section, nil
}

// fallen tells of servers that have ended by themselves.
func (r *clusterRun) fallen() (err error) {
	for _, t := range r.teams {
		for _, server := range t.servers {
			err = errors.Join(err, server.Ended())
		}
	}
	return err
}

// enter starts and fills all servers: those of Cairn alone and as a cluster, and
// redis-always as a primary with replicas. On an error, too, the caller ends them.
func (r *clusterRun) enter(ctx context.Context) error {
	for _, spec := range r.Peers {
		var err error
		switch spec.Base {
		case "cairn":
			if err = r.enterSingle(ctx, spec); err == nil {
				err = r.enterTeam(ctx, spec, spec.StartCluster, clusterNodes, fmt.Sprintf("%s, %d nodes, leader", spec.Name, clusterNodes),
					fmt.Sprintf("%s, %d nodes, follower", spec.Name, clusterNodes))
			}
		case "redis-always":
			err = r.enterTeam(ctx, spec, spec.StartReplicated, clusterNodes-1, fmt.Sprintf("%s, %d replicas, WAIT 1", spec.Name, clusterNodes-1))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *clusterRun) enterSingle(ctx context.Context, spec peer.Spec) error {
	c, err := r.suite.enter(ctx, spec, r.Sessions, r.MemoryMB)
	if err != nil {
		return err
	}
	t := &team{name: spec.Name, servers: []*peer.Server{c.Server}, roles: []*entry{{contestant: c}}}
	r.teams = append(r.teams, t)
	return r.fillTeam(ctx, t)
}

// teamDir is for the files of several servers.
func (r *clusterRun) teamDir(spec peer.Spec) string {
	return filepath.Join(r.Dir, spec.Name+"-cluster")
}

func (r *clusterRun) enterTeam(ctx context.Context, spec peer.Spec,
	start func(context.Context, int, peer.Options) ([]*peer.Server, error), n int, roles ...string) error {
	done := r.progress.phase(startCost, "%s: start %d servers", spec.Name, clusterNodes)
	defer done()
	servers, err := start(ctx, n, peer.Options{
		Dir: r.teamDir(spec), MemoryMB: r.MemoryMB, Threads: len(r.ServerCPUs), CPUs: r.ServerCPUs,
	})
	if err != nil {
		return err
	}
	t := &team{name: fmt.Sprintf("%s, %d servers", spec.Name, clusterNodes), servers: servers}
	population := workload.NewPopulation(r.pool, 0, r.Sessions)
	for _, role := range roles {
		e := &entry{contestant: &contestant{population: population, label: role}}
		t.roles = append(t.roles, e)
		if spec.IsCairn() {
			e.before = func(ctx context.Context) error { return r.place(ctx, t) }
		}
	}
	r.teams = append(r.teams, t)
	t.assign(0)
	if spec.IsCairn() {
		if err := r.place(ctx, t); err != nil {
			return err
		}
	}
	t.moved = 0
	return r.fillTeam(ctx, t)
}

// place lets the clients of each role use the node that has it.
func (r *clusterRun) place(ctx context.Context, t *team) error {
	leader, err := peer.Leader(ctx, t.servers)
	if err == nil && leader != t.leader {
		t.assign(leader)
		t.moved++
	}
	return err
}

func (t *team) assign(leader int) {
	t.leader = leader
	for i, role := range t.roles {
		at := (leader + i) % len(t.servers)
		role.Server = t.servers[at]
		role.others = nil
		for j, server := range t.servers {
			if j != at {
				role.others = append(role.others, server)
			}
		}
	}
}

func (r *clusterRun) options() workload.Options {
	return workload.Options{Timeout: r.Timeout, Seed: r.Seed}
}

// fillTeam stores all sessions. What is written counts from then on.
func (r *clusterRun) fillTeam(ctx context.Context, t *team) (err error) {
	if err = r.fill(ctx, t.roles[0].contestant, workload.Fill, r.options()); err != nil {
		return err
	}
	for _, role := range t.roles {
		role.stores = 0
	}
	t.before, err = t.count(ctx)
	return err
}

// entries are those of all teams.
func (r *clusterRun) entries() (entries []*entry) {
	for _, t := range r.teams {
		entries = append(entries, t.roles...)
	}
	return entries
}

// measure puts one kind of traffic on all servers in turn.
func (r *clusterRun) measure(ctx context.Context, t *traffic) error {
	entries := r.entries()
	if len(entries) == 0 {
		return nil
	}
	setup := t.setup(r.suite)
	for _, e := range entries {
		e.rounds, e.all = nil, nil
		e.flows = r.flows(e.contestant, t.kind, setup.options)
		if err := r.warmUp(ctx, "cluster · "+t.name, e); err != nil {
			return err
		}
	}
	if err := r.alternate(ctx, "cluster · "+t.name, entries); err != nil {
		return err
	}
	baseline := entries[0]
	throughput := func(r *Round) float64 { return r.Throughput }
	for _, e := range entries {
		rate, cost := newSpread(each(e.rounds, throughput)), newSpread(each(e.rounds, (*Round).CPU))
		latency := latencyRow(e, t.title, func(r *Round) Latency { return r.Latency })
		r.sets.Rows = append(r.sets.Rows, append([]string{
			e.name(), t.title,
			report.Quantity(rate.Median), percent(rate.Deviation()), report.Ratio(ratio(e.rounds, baseline.rounds, throughput)),
			fmt.Sprintf("%.1f", cost.Median), percent(cost.Deviation()), report.Ratio(ratio(e.rounds, baseline.rounds, (*Round).CPU)),
			fmt.Sprintf("%.1f", median(e.rounds, func(r *Round) float64 { return r.KernelCPU })),
			percent(median(e.rounds, func(r *Round) float64 { return r.ServerBusy })),
			percent(median(e.rounds, func(r *Round) float64 { return r.ClientBusy })),
		}, latency[2:]...))
		r.tails.Rows = append(r.tails.Rows, tailRow(e.rounds, e.name(), t.title))
	}
	r.data.Rounds[t.name] = roundsByServer(entries)
	r.section.Plots = append(r.section.Plots, latencyCurves(t.title, entries))
	return nil
}

// bytesWritten is what nodes have written, all together.
type bytesWritten struct{ log, tables, repeats float64 }

// count is what the nodes have written since their start, in bytes: by a Cairn's own count,
// or how long Redis' append-only files are.
func (t *team) count(ctx context.Context) (sum bytesWritten, err error) {
	for _, server := range t.servers {
		metrics, err := server.Metrics(ctx)
		if err != nil {
			return sum, err
		}
		if metrics == nil {
			disk, err := server.Disk()
			if err != nil {
				return sum, err
			}
			sum.log += float64(disk.Length)
			continue
		}
		written := func(purpose string) float64 { return metrics[`cairn_disk_written_bytes_total{purpose="`+purpose+`"}`] }
		if log, clustered := metrics["cairn_log_written_bytes_total"]; clustered {
			sum.log += log // instead of the store's own
		} else {
			sum.log += written("wal")
		}
		sum.tables += written("flush") + written("compaction")
		sum.repeats += metrics["cairn_cluster_repeats_total"]
	}
	return sum, nil
}

// written makes the table of what each set has cost the disks.
func (r *clusterRun) written(ctx context.Context) (report.Table, error) {
	table := report.Table{
		Title:   "Bytes that a node has written for each set, after the sessions were stored",
		Columns: []string{"server", "sets", "keys and values", "log", "ratio", "tables", "log and tables", "ratio", "repeats"},
	}
	var first clusterWritten
	for _, t := range r.teams {
		after, err := t.count(ctx)
		if err != nil {
			return table, err
		}
		sets := int64(0)
		for _, role := range t.roles {
			sets += role.stores
		}
		all := float64(max(sets, 1)) * float64(len(t.servers))
		w := clusterWritten{
			Sets: sets, Log: (after.log - t.before.log) / all, Tables: (after.tables - t.before.tables) / all,
			Repeats: int64(after.repeats - t.before.repeats),
		}
		if len(table.Rows) == 0 {
			first = w
		}
		table.Rows = append(table.Rows, []string{
			t.name, fmt.Sprint(sets), report.Quantity(r.pool.MeanSize()), report.Quantity(w.Log), report.Ratio(w.Log / first.Log),
			report.Quantity(w.Tables), report.Quantity(w.Log + w.Tables), report.Ratio((w.Log + w.Tables) / (first.Log + first.Tables)), fmt.Sprint(w.Repeats),
		})
		r.data.Written[t.name] = w
	}
	return table, nil
}

func (r *clusterRun) notes() {
	r.section.Notes = []string{
		fmt.Sprintf("Medians of %d rounds; ± is half the distance between the extremes. "+
			"Ratios are the medians of each round's ratio to the first server.", r.Rounds),
		"Bytes are those of a Cairn's own counters, an average over the nodes: what its log, or the store's, has taken, and the tables " +
			"that it has written from it, which depend on when that happened. Of Redis they are those by which its files have grown; " +
			"a rewrite of its file makes them too few. Repeats are bursts that nodes have sent again, because of an election for instance: " +
			"they may be in the log twice.",
		tailNote,
	}
	if len(r.teams) == 0 {
		r.section.Notes = []string{"None of the servers can be measured like this: cairn and redis-always can."}
	}
	for _, t := range r.teams {
		if len(t.servers) == 1 {
			continue
		}
		var commands []string
		for _, server := range t.servers {
			commands = append(commands, "`"+commandLine(server, r.Dir)+"`")
		}
		r.section.Notes = append(r.section.Notes, fmt.Sprintf("%s: %s.", t.name, strings.Join(commands, ", ")))
		if t.moved > 0 {
			r.section.Notes = append(r.section.Notes, fmt.Sprintf("Of %s another node led %d times than in the round before.", t.name, t.moved))
		}
	}
}
