package workload

import "cairn/bench/load"

// A Kind makes the flow of one connection out of the given number.
type Kind func(p *Population, connection, connections int, o Options) load.Flow

// Flows makes the flows of all connections.
func (k Kind) Flows(p *Population, connections int, o Options) []load.Flow {
	flows := make([]load.Flow, connections)
	for i := range flows {
		o := o
		o.Seed = o.Seed*1_000_003 + uint64(i)
		flows[i] = k(p, i, connections, o)
	}
	return flows
}

// single is a flow whose turns are one exchange each.
type single struct {
	visitors
	exchange func(f *single, ops []load.Op) []load.Op
	sent     bool
	keys     [][]byte
	next     int // of the owned sessions, for flows that visit each once
}

func (f *single) Next(ops []load.Op) []load.Op {
	if f.sent = !f.sent; !f.sent {
		return ops
	}
	f.begin()
	ops = f.exchange(f, ops)
	f.sent = len(ops) > 0
	return ops
}

func singleKind(exchange func(f *single, ops []load.Op) []load.Op) Kind {
	return func(p *Population, connection, connections int, o Options) load.Flow {
		return &single{visitors: newVisitors(p, connection, connections, o), exchange: exchange}
	}
}

// Reads gets sessions, Options.Depth at once.
var Reads = singleKind(func(f *single, ops []load.Op) []load.Op {
	for range f.options.Depth {
		ops = append(ops, f.get(f.pick(), session))
	}
	return ops
})

// Writes stores sessions, Options.Depth at once.
var Writes = singleKind(func(f *single, ops []load.Op) []load.Op {
	for range f.options.Depth {
		ops = append(ops, f.set(f.pick(), f.options.ttl()))
	}
	return ops
})

// Mixed gets and stores sessions in equal parts, one at a time.
var Mixed = singleKind(func(f *single, ops []load.Op) []load.Op {
	if f.rng.IntN(2) == 0 {
		return append(ops, f.get(f.pick(), session))
	}
	return append(ops, f.set(f.pick(), f.options.ttl()))
})

// Sweep gets sessions one after the other, beginning with any of them, and then
// all of them again: none is seen twice within a short time.
var Sweep = singleKind(func(f *single, ops []load.Op) []load.Op {
	return append(ops, f.get(f.advance(), session))
})

// SweepWrites is Sweep with sets.
var SweepWrites = singleKind(func(f *single, ops []load.Op) []load.Op {
	return append(ops, f.set(f.advance(), f.options.ttl()))
})

// advance returns the next session of a sweep.
func (f *single) advance() uint64 {
	if f.next == 0 {
		f.next = 1 + f.rng.IntN(f.owned())
	}
	f.next++
	return f.nth(f.next % f.owned())
}

// MultiReads gets Options.Depth sessions by one request.
var MultiReads = singleKind(func(f *single, ops []load.Op) []load.Op {
	f.keys = f.keys[:0]
	for range f.options.Depth {
		f.keys = append(f.keys, f.get(f.pick(), session).Key)
	}
	return append(ops, load.Op{Kind: load.GetMulti, Keys: f.keys})
})

// Fill stores every session that is not stored yet, Options.Depth at once, and
// ends.
var Fill = singleKind(func(f *single, ops []load.Op) []load.Op {
	return f.storeMissing(ops, f.options.ttl())
})

// FillUntil is a Fill of sessions that all end at that Unix second, which must
// be more than 30 days after 1970.
func FillUntil(unix int64) Kind {
	return singleKind(func(f *single, ops []load.Op) []load.Op { return f.storeMissing(ops, unix) })
}

func (f *single) storeMissing(ops []load.Op, exptime int64) []load.Op {
	for ; f.next < f.owned() && len(ops) < f.options.Depth; f.next++ {
		number := f.nth(f.next)
		if f.states[number].acked > 0 {
			continue
		}
		ops = append(ops, f.set(number, exptime))
		if f.options.Validity {
			ops = append(ops, f.setValidity(number, exptime))
		}
	}
	return ops
}
