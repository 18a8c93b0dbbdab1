package workload

import "cairn/bench/load"

// sequence is a flow whose turns are several exchanges of one operation, all
// on one session: a web request.
type sequence struct {
	visitors
	number    uint64 // of the session
	newcomers uint64 // the last number given to a new visitor
	login     bool   // the turn is a new visitor's
	step      int
	// request adds the operation of that step, or none after the last one.
	// Step 0 chooses the session.
	request func(f *sequence, step int, ops []load.Op) []load.Op
}

func (f *sequence) Next(ops []load.Op) []load.Op {
	gone := f.gone
	f.begin()
	f.gone = gone && f.step > 0 // remembered through the turn
	ops = f.request(f, f.step, ops)
	f.step++
	if len(ops) == 0 {
		f.step = 0
	}
	return ops
}

func sequenceKind(request func(f *sequence, step int, ops []load.Op) []load.Op) Kind {
	return func(p *Population, connection, connections int, o Options) load.Flow {
		f := &sequence{visitors: newVisitors(p, connection, connections, o), request: request}
		f.newcomers = f.first + uint64(p.Size())
		return f
	}
}

// changedRequests is the part of web requests, in percent, that change the
// session in the Session workload; keptRequests that only extend its life in
// the Sliding workload.
const (
	changedRequests = 50
	keptRequests    = 90
)

// Session is what memcached-session-manager does in its non-sticky mode for a
// web request: get the session and its validity; at the end store the session
// if it changed, or else ping it; store its validity. Items live twice the
// session's timeout. Options.Newcomers of the requests are Logins.
var Session = sequenceKind(func(f *sequence, step int, ops []load.Op) []load.Op {
	if step == 0 {
		f.login = f.rng.IntN(100) < f.options.Newcomers
	}
	if f.login {
		return login(f, step, ops)
	}
	ttl := 2 * f.options.ttl()
	switch step {
	case 0:
		f.number = f.pick()
		return append(ops, f.get(f.number, session))
	case 1:
		return append(ops, f.get(f.number, validity))
	case 2:
		if f.gone || f.rng.IntN(100) < changedRequests {
			return append(ops, f.set(f.number, ttl))
		}
		return append(ops, f.ping(f.number))
	case 3:
		return append(ops, f.setValidity(f.number, ttl))
	}
	return ops
})

// Sliding is what PHP with lazy writes does for a web request: get the
// session, then touch it or, one time in ten, store it.
var Sliding = sequenceKind(func(f *sequence, step int, ops []load.Op) []load.Op {
	switch step {
	case 0:
		f.number = f.pick()
		return append(ops, f.get(f.number, session))
	case 1:
		if f.gone || f.rng.IntN(100) >= keptRequests {
			return append(ops, f.set(f.number, f.options.ttl()))
		}
		return append(ops, f.touch(f.number))
	}
	return ops
})

// Visit is what PHP's own handler does for a web request: get the session, and
// store it at the end.
var Visit = sequenceKind(func(f *sequence, step int, ops []load.Op) []load.Op {
	switch step {
	case 0:
		f.number = f.pick()
		return append(ops, f.get(f.number, session))
	case 1:
		return append(ops, f.set(f.number, f.options.ttl()))
	}
	return ops
})

// Logins has new visitors only: each asks for a session that is not there,
// and then gets one stored, with its validity. They are not part of the
// population; their numbers begin behind it.
var Logins = sequenceKind(login)

func login(f *sequence, step int, ops []load.Op) []load.Op {
	ttl := 2 * f.options.ttl()
	switch step {
	case 0:
		f.newcomers += f.stride
		f.number = f.newcomers
		return append(ops, f.get(f.number, stranger))
	case 1:
		return append(ops, f.setPristine(f.number, ttl))
	case 2:
		return append(ops, f.setValidity(f.number, ttl))
	}
	return ops
}
