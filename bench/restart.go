//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"cairn/bench/load"
	"cairn/bench/report"
	"cairn/bench/workload"
)

// restartExperiment stops and kills servers, starts them again, and counts
// what they still know.
var restartExperiment = experiment{
	name: "restart",
	cost: func(s *suite) time.Duration {
		return 3*startCost + 3*s.fillCost(s.Sessions) + s.Duration
	},
	run: runRestart,
}

// restart is what was measured on one server.
type restart struct {
	Sessions int           `json:"sessions"`
	Stop     time.Duration `json:"stopNanoseconds"`
	Start    time.Duration `json:"startNanoseconds"` // until it answers
	Lost     losses        `json:"lostByStop"`

	KillStart time.Duration `json:"startAfterKillNanoseconds"`
	KillLost  losses        `json:"lostByKill"`
	RSS       int64         `json:"rssBytes"`
}

// losses are sessions that are not as they were acknowledged.
type losses struct {
	Missing int64 `json:"missing"`
	Stale   int64 `json:"stale"` // an older revision
	Foreign int64 `json:"foreign"`
}

func (l losses) String() string {
	if l == (losses{}) {
		return "none"
	}
	return fmt.Sprintf("%d missing, %d stale, %d foreign", l.Missing, l.Stale, l.Foreign)
}

func runRestart(ctx context.Context, s *suite) (report.Section, error) {
	restarts, err := oneByOne(ctx, s, s.Peers, s.Sessions, s.MemoryMB, s.measureRestart)
	if err != nil {
		return report.Section{}, err
	}
	return s.restartSection(restarts), nil
}

func (s *suite) measureRestart(ctx context.Context, c *contestant) (*restart, error) {
	o := workload.Options{Timeout: s.Timeout, Seed: s.Seed}
	result := &restart{Sessions: s.Sessions}
	if err := s.fill(ctx, c, workload.Fill, o); err != nil {
		return nil, err
	}
	done := s.progress.phase(2*startCost+s.Duration, "restart · %s", c.Spec.Name)
	defer done()
	var err error
	if result.Stop, err = c.Stop(); err != nil {
		return nil, err
	}
	if result.Start, err = c.Restart(ctx); err != nil {
		return nil, err
	}
	if result.Lost, err = s.audit(ctx, c); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, c, workload.Fill, o); err != nil { // again, if it forgot
		return nil, err
	}
	if err := s.killUnderLoad(ctx, c, o); err != nil {
		return nil, err
	}
	if result.KillStart, err = c.Restart(ctx); err != nil {
		return nil, err
	}
	if result.KillLost, err = s.audit(ctx, c); err != nil {
		return nil, err
	}
	usage, err := c.Usage()
	result.RSS = usage.RSS
	return result, err
}

// killUnderLoad ends the server in the midst of sets.
func (s *suite) killUnderLoad(ctx context.Context, c *contestant, o workload.Options) error {
	var killer sync.WaitGroup
	_, err := s.drive(ctx, c, load.Options{
		Flows: s.flows(c, workload.Writes, o), Duration: s.Duration + time.Minute,
		Started: func() {
			killer.Go(func() {
				_ = sleep(ctx, s.Duration) // a cancelled run kills it earlier
				c.Kill()
			})
		},
	})
	killer.Wait()
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED} {
		if errors.Is(err, broken) {
			return ctx.Err()
		}
	}
	return errors.Join(fmt.Errorf("%s was not killed under load", c.Spec.Name), err)
}

// audit reads all sessions back.
func (s *suite) audit(ctx context.Context, c *contestant) (losses, error) {
	var audit workload.Audit
	flows := audit.Flows(c.population, s.Connections, workload.Options{Depth: 16})
	_, err := s.drive(ctx, c, load.Options{Flows: flows})
	return losses{audit.Missing.Load(), audit.Stale.Load(), audit.Foreign.Load()}, err
}

func (s *suite) restartSection(restarts map[string]*restart) report.Section {
	section := report.Section{
		Title: "Restart",
		Summary: fmt.Sprintf("%d sessions are stored. The server is stopped (SIGTERM) and started again; then it is killed (SIGKILL) "+
			"in the midst of sets and started again. Each time all sessions are read back and compared with what was acknowledged.", s.Sessions),
		Notes: []string{"A kill ends the process, not the machine: what the kernel has taken but not yet written survives it. " +
			"What a power loss would take does not show here."},
		Data: restarts,
	}
	table := report.Table{Columns: []string{"server", "stop", "start until it answers", "lost by the stop",
		"start after the kill", "lost by the kill", "RSS"}}
	for _, spec := range s.Peers {
		r := restarts[spec.Name]
		table.Rows = append(table.Rows, []string{
			spec.Name, report.Duration(r.Stop), report.Duration(r.Start), r.Lost.String(),
			report.Duration(r.KillStart), r.KillLost.String(), report.Bytes(r.RSS),
		})
	}
	section.Tables = []report.Table{table}
	return section
}
