package workload

import (
	"sync/atomic"

	"cairn/bench/load"
)

// Audit reads every session that was acknowledged once and counts what became
// of it.
type Audit struct {
	Intact  atomic.Int64 // as acknowledged, or as last sent
	Stale   atomic.Int64 // an older revision
	Missing atomic.Int64
	Foreign atomic.Int64 // not that session at all
}

// Lost is the number of sessions that are not as they were acknowledged.
func (a *Audit) Lost() int64 { return a.Stale.Load() + a.Missing.Load() + a.Foreign.Load() }

// Flows makes the flows that carry out the audit. The population takes what
// they find for granted afterwards.
func (a *Audit) Flows(p *Population, connections int, o Options) []load.Flow {
	flows := make([]load.Flow, connections)
	for i := range flows {
		flows[i] = &auditor{single{visitors: newVisitors(p, i, connections, o), exchange: readStored}, a}
	}
	return flows
}

func readStored(f *single, ops []load.Op) []load.Op {
	for ; f.next < f.owned() && len(ops) < f.options.Depth; f.next++ {
		if number := f.nth(f.next); f.states[number].acked > 0 {
			ops = append(ops, f.get(number, session))
		}
	}
	return ops
}

// auditor is a flow that counts instead of judging.
type auditor struct {
	single
	*Audit
}

func (f *auditor) Check(_ *load.Op, a load.Answer) bool {
	number := f.expected[f.answered].number
	f.answered++
	s := &f.states[number]
	revision, ok := uint32(0), false
	if a.Outcome == load.Done {
		revision, ok = f.pool.Revision(a.Value, f.base+number)
	}
	switch {
	case a.Outcome != load.Done:
		f.Missing.Add(1)
	case !ok || revision > s.sent:
		f.Foreign.Add(1)
	case revision < s.acked:
		f.Stale.Add(1)
	default:
		f.Intact.Add(1)
	}
	s.acked, s.sent = revision, revision
	return true
}
