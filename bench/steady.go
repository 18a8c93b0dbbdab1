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

// traffic is a workload of one kind of request, measured in rounds that
// alternate between servers which run side by side.
type traffic struct {
	name, title, summary string
	kind                 workload.Kind
	// adapt changes the settings for this traffic; nil leaves them.
	adapt func(s *suite, setup *setup)
}

// setup is how steady traffic is put on a server.
type setup struct {
	options   workload.Options
	sessions  int
	memoryMB  int
	untracked bool // the population is not all that is stored
	reconnect bool // each turn has a connection of its own
}

var steadyTraffic = []traffic{
	{name: "get", title: "Gets", kind: workload.Reads,
		summary: "One get at a time on each connection, over all sessions alike."},
	{name: "set", title: "Sets", kind: workload.Writes,
		summary: "One set at a time on each connection, over all sessions alike."},
	{name: "get-pipelined", title: "Pipelined gets", kind: workload.Reads, adapt: pipelined,
		summary: "Gets in pipelines: a connection sends several at once and awaits all answers."},
	{name: "set-pipelined", title: "Pipelined sets", kind: workload.Writes, adapt: pipelined,
		summary: "Sets in pipelines: a connection sends several at once and awaits all answers."},
	{name: "multiget", title: "Multi-gets", kind: workload.MultiReads, adapt: pipelined,
		summary: "Requests for several sessions at once (get with many keys, MGET). Operations are sessions."},
	{name: "session", title: "Web requests, as memcached-session-manager makes them", kind: workload.Session,
		adapt: func(_ *suite, setup *setup) { setup.options.Validity = true },
		summary: "For each web request, one after the other: get the session, get its validity, " +
			"set the session (half of the requests) or ping it with an add, set its validity."},
	{name: "touch", title: "Sliding expiry", kind: workload.Sliding,
		summary: "For each web request: get the session, then touch it (nine of ten requests) or set it."},
	{name: "php", title: "Web requests with a connection each, as PHP makes them", kind: workload.Visit,
		adapt: func(_ *suite, setup *setup) { setup.reconnect = true },
		summary: "For each web request: connect, get the session, set it, quit, and wait until the server has closed. " +
			"Turns are web requests; they count from the connect to the close, operations do not."},
	{name: "login-storm", title: "Login storm", kind: workload.Logins,
		adapt:   func(_ *suite, setup *setup) { setup.untracked = true },
		summary: "New visitors only: a get that misses, then a set of the session and one of its validity."},
	{name: "larger-than-memory", title: "Larger than memory", kind: workload.Session, adapt: largerThanMemory,
		summary: "Web requests as above on sessions of sixteen times the memory that the servers may use, " +
			"some visited far more often than others (Zipf, exponent 1.1). Who forgets shows in the hits."},
}

// reconnects reports whether the workload's turns have connections of their own.
func reconnects(workload string) bool { return workload == "php" }

func pipelined(s *suite, setup *setup) { setup.options.Depth = s.Pipeline }

func largerThanMemory(s *suite, setup *setup) {
	setup.options.Skew, setup.options.Validity = 1.1, true
	setup.memoryMB = max(s.MemoryMB/16, 64)
	if !s.Quick {
		setup.sessions = int(float64(setup.memoryMB<<20) * 16 / s.pool.MeanSize())
	}
}

func (t *traffic) experiment() experiment {
	return experiment{
		name: t.name,
		cost: func(s *suite) time.Duration {
			return startCost + s.fillCost(t.setup(s).sessions) + s.Warmup + time.Duration(s.Rounds)*(s.Duration+settleTime)
		},
		run: t.run,
	}
}

func (t *traffic) setup(s *suite) *setup {
	setup := &setup{options: workload.Options{Timeout: s.Timeout, Seed: s.Seed}, sessions: s.Sessions, memoryMB: s.MemoryMB}
	if t.adapt != nil {
		t.adapt(s, setup)
	}
	return setup
}

// entry is a server's part in steady traffic.
type entry struct {
	*contestant
	flows     []load.Flow
	rate      float64                         // turns per second; 0: closed loop
	reconnect bool                            // each turn has a connection of its own
	before    func(ctx context.Context) error // each round; nil: nothing
	rounds    []Round
	all       *load.Result // merged over the rounds

	// Over the server's whole life, its clean end included.
	sent, written, live, disk int64
}

func (t *traffic) run(ctx context.Context, s *suite) (report.Section, error) {
	setup := t.setup(s)
	entries, err := t.enterAll(ctx, s, setup)
	if err == nil {
		err = s.alternate(ctx, t.name, entries)
	}
	for _, e := range entries {
		if err == nil {
			err = e.conclude(setup)
		}
	}
	if err = leaveAll(contestantsOf(entries), err); err != nil {
		return report.Section{}, err
	}
	return t.section(s, entries), nil
}

func contestantsOf(entries []*entry) []*contestant {
	contestants := make([]*contestant, len(entries))
	for i, e := range entries {
		contestants[i] = e.contestant
	}
	return contestants
}

// enterAll starts and fills all servers and warms them up. On an error too, the
// caller ends those it returns.
func (t *traffic) enterAll(ctx context.Context, s *suite, setup *setup) (entries []*entry, err error) {
	for _, spec := range s.Peers {
		c, err := s.enter(ctx, spec, setup.sessions, setup.memoryMB)
		if err != nil {
			return entries, err
		}
		e := &entry{contestant: c, reconnect: setup.reconnect}
		entries = append(entries, e)
		if err := s.fill(ctx, c, workload.Fill, setup.options); err != nil {
			return entries, err
		}
		e.flows = s.flows(c, t.kind, setup.options)
		if err := s.warmUp(ctx, t.name, e); err != nil {
			return entries, err
		}
	}
	return entries, nil
}

// warmUp runs the traffic as fast as it goes and settles the rate of the
// rounds.
func (s *suite) warmUp(ctx context.Context, name string, e *entry) error {
	done := s.progress.phase(s.Warmup, "%s · %s: warm-up", name, e.name())
	defer done()
	r, _, err := s.round(ctx, e.contestant, load.Options{Flows: e.flows, Duration: s.Warmup, Reconnect: e.reconnect})
	if err != nil {
		return err
	}
	turns, part, err := s.rate()
	e.rate = max(turns, part*r.TurnRate)
	return err
}

// alternate measures the servers in turn, beginning each round with another
// one.
func (s *suite) alternate(ctx context.Context, name string, entries []*entry) error {
	for round := range s.Rounds {
		for i := range entries {
			e := entries[(round+i)%len(entries)]
			if err := s.settle(ctx); err != nil {
				return err
			}
			if e.before != nil {
				if err := e.before(ctx); err != nil {
					return err
				}
			}
			done := s.progress.phase(s.Duration+settleTime, "%s · round %d of %d · %s", name, round+1, s.Rounds, e.name())
			r, result, err := s.round(ctx, e.contestant, load.Options{Flows: e.flows, Duration: s.Duration, Rate: e.rate, Reconnect: e.reconnect})
			done()
			if err != nil {
				return err
			}
			e.rounds = append(e.rounds, r)
			if e.all == nil {
				e.all = result
			} else {
				e.all.Merge(result)
			}
		}
	}
	return nil
}

// conclude stops the server, so that all it has to write is written, and takes
// stock.
func (e *entry) conclude(setup *setup) error {
	var err error
	if e.disk, err = e.allocated(); err != nil {
		return err
	}
	if _, err := e.Stop(); err != nil {
		return err
	}
	e.sent, e.written = e.contestant.written, e.Final().Written
	if !setup.untracked {
		e.live = e.population.Bytes()
	}
	return nil
}

func (t *traffic) section(s *suite, entries []*entry) report.Section {
	section := report.Section{Title: t.title, Summary: t.summary}
	baseline := entries[0]
	tails := newTailTable()
	for _, e := range entries {
		if e.name() == s.Baseline {
			baseline = e
		}
		tails.Rows = append(tails.Rows, tailRow(e.rounds, e.name()))
	}
	section.Data = roundsByServer(entries)
	section.Tables = []report.Table{throughputTable(entries, baseline), latencyTable(entries), tails, resourceTable(entries)}
	section.Plots = []report.Plot{latencyCurves("Latency of operations", entries)}
	section.Notes = []string{
		fmt.Sprintf("Medians of %d rounds; ± is half the distance between the extremes. "+
			"Ratios are the medians of each round's ratio to %s.", s.Rounds, baseline.name()),
		tailNote,
	}
	if s.Rate != "" {
		section.Notes = append(section.Notes, "Open loop at "+s.Rate+" turns per second: throughput is given, not found out.")
	}
	return section
}
