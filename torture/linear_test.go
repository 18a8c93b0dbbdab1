package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"cairn/session"
)

// TestLinearizable lets clients that speak all protocols fight over few keys,
// kills the server under them a few times, and asks porcupine whether what
// each key showed can be explained by commands that took effect one at a time,
// each between its request and its reply.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	histories, operations, unknown := 0, 0, 0
	for range rounds(2, 120) {
		s := newServer(t)
		h := &history{began: time.Now(), keys: 10}
		for range 3 { // lives
			s.start()
			h.live(t, s, rng.Uint64())
			s.kill()
		}
		for key, ops := range h.byKey() {
			histories++
			operations += len(ops)
			switch porcupine.CheckOperationsTimeout(registers.ToModel(), ops, 60*time.Second) {
			case porcupine.Illegal:
				t.Errorf("key %s: no order explains this:\n%s", key, describeHistory(ops))
			case porcupine.Unknown:
				unknown++
			}
		}
		if t.Failed() {
			return
		}
	}
	if unknown > histories/20 {
		t.Errorf("%d of %d histories were too hard to check", unknown, histories)
	}
	figures(t, "%d histories of %d operations, %d of them not decided within a minute", histories, operations, unknown)
}

// history records what clients did and saw. It is safe for concurrent use.
type history struct {
	began  time.Time
	keys   int
	prefix string       // of the keys
	slack  session.Time // in ms: by how much a session may outlive its time
	early  session.Time // in ms: by how much it may end before its time

	// mayFail says that commands may be answered with an error, after which they may
	// have had an effect or not.
	mayFail bool

	mu     sync.Mutex
	ops    []porcupine.Operation
	failed int // commands that were answered with an error
}

// call and seen are an operation's input and output.
type call struct {
	client  int
	command session.Command
	asked   session.Time
	slack   session.Time // of the history
	early   session.Time
}

type seen struct {
	lost     bool // no reply: it may have happened or not
	answer   answer
	answered session.Time
}

// live lets clients work on a server until each has done its share or the
// server was killed.
func (h *history) live(t *testing.T, s *server, seed uint64) {
	const clients, most = 6, 40
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			c, err := connect(s.sock, dialects[i%len(dialects)])
			if err != nil {
				return // killed already
			}
			defer c.close()
			versions := make(map[string]uint64)
			for n := range most {
				if !h.one(c, i, h.command(rng, c.dialect, versions, fmt.Sprintf("%d.%d.%d;", seed%1000, i, n)), versions) {
					return
				}
			}
		})
	}
	if seed%2 == 0 {
		time.Sleep(time.Duration(seed%23) * time.Millisecond)
		s.kill()
	}
	wg.Wait()
}

// command makes a command on a random key. token is unique.
func (h *history) command(rng *rand.Rand, d dialect, versions map[string]uint64, token string) session.Command {
	for {
		key := fmt.Sprintf("%sk%d", h.prefix, rng.IntN(h.keys))
		c := session.Command{Key: []byte(key), Expiry: session.Never, Delta: 1}
		c.Op = pick(rng, session.OpGet, session.OpGet, session.OpGet, session.OpSet, session.OpSet, session.OpAdd,
			session.OpAppend, session.OpIncr, session.OpDelete, session.OpTouch, session.OpReplace)
		switch c.Op {
		case session.OpSet, session.OpAdd, session.OpReplace, session.OpAppend:
			c.Value = []byte(token)
			if c.Op != session.OpAppend && rng.IntN(3) == 0 {
				c.Value = []byte("7")
			}
		}
		if rng.IntN(4) == 0 {
			c.Expiry = session.FromUnix(wallNow().Unix() + 1 + rng.Int64N(2))
		}
		if version := versions[key]; version != 0 && c.Op == session.OpSet && rng.IntN(2) == 0 {
			c.Mods, c.CAS = session.IfVersion, version
		}
		if d.speaks(&c) {
			return c
		}
	}
}

// one carries out a command and records it.
func (h *history) one(c *client, id int, command session.Command, versions map[string]uint64) bool {
	in := call{client: id, command: command, asked: wallNow(), slack: h.slack, early: h.early}
	op := porcupine.Operation{ClientId: id, Input: in, Call: int64(time.Since(h.began))}
	answers, err := c.do([]session.Command{command}, in.asked)
	failed := h.mayFail && err == nil && answers[0].status == session.Failed
	out := seen{lost: err != nil || failed, answered: wallNow()}
	op.Return = int64(time.Since(h.began))
	if out.lost {
		op.Return = 1 << 62 // it may take effect until the end of time
	} else {
		out.answer = answers[0]
		if out.answer.version != 0 {
			versions[string(command.Key)] = out.answer.version
		}
	}
	op.Output = out
	h.mu.Lock()
	defer h.mu.Unlock()
	if failed {
		h.failed++
	}
	if !out.lost || command.Op != session.OpGet { // which would have no effect
		h.ops = append(h.ops, op)
	}
	return err == nil
}

func (h *history) byKey() map[string][]porcupine.Operation {
	keys := make(map[string][]porcupine.Operation)
	for _, op := range h.ops {
		key := string(op.Input.(call).command.Key)
		keys[key] = append(keys[key], op)
	}
	return keys
}

// register is the state of one key. version is 0 as long as nothing showed it.
type register struct {
	present bool
	value   string
	version uint64
	expiry  session.Time
}

// registers is what one key may do.
var registers = porcupine.NondeterministicModel{
	Init: func() []any { return []any{register{}} },
	Step: func(state, input, output any) []any {
		next := steps(state.(register), input.(call), output.(seen))
		boxed := make([]any, len(next))
		for i := range next {
			boxed[i] = next[i]
		}
		return boxed
	},
	Equal: func(a, b any) bool { return a == b },
}

// steps gives the states after a command, none if it cannot have answered so.
func steps(r register, in call, out seen) []register {
	const slack = session.Time(1100) // ms: whole seconds, and what clocks differ by
	var next []register
	// The item may be dead if its time had come when the reply was there, and
	// alive if not yet when the request was sent.
	if !r.present || r.expiry != session.Never && out.answered+slack+in.early >= r.expiry || out.lost && r.expiry != session.Never {
		next = append(next, stepsFrom(register{}, in, out)...)
	}
	if r.present && in.asked-slack-in.slack <= r.expiry {
		next = append(next, stepsFrom(r, in, out)...)
	}
	if out.lost {
		next = append(next, r) // it never happened
	}
	return next
}

// stepsFrom carries out a command on a state that is certain.
func stepsFrom(r register, in call, out seen) []register {
	c := &in.command
	status, after := effect(r, c)
	if out.lost {
		return []register{after}
	}
	a := &out.answer
	if !sameStatus(c.Op, a.status, status) {
		return nil
	}
	if status != session.OK {
		return []register{after}
	}
	if c.Op == session.OpGet && string(a.value) != r.value {
		return nil
	}
	if c.Op == session.OpIncr && fmt.Sprint(a.number) != strings.TrimRight(after.value, " ") {
		return nil
	}
	if a.version != 0 && c.Op != session.OpDelete {
		if after.version != 0 && after.version != a.version {
			return nil
		}
		after.version = a.version
	}
	return []register{after}
}

// effect is the command's rule, with unknown versions as 0.
func effect(r register, c *session.Command) (session.Status, register) {
	made := register{present: true, value: string(c.Value), expiry: c.Expiry}
	switch c.Op {
	case session.OpGet:
		if r.present {
			return session.OK, r
		}
	case session.OpTouch:
		if r.present {
			r.expiry = c.Expiry
			return session.OK, r
		}
	case session.OpDelete:
		if r.present {
			return session.OK, register{}
		}
	case session.OpSet:
		switch {
		case !c.Has(session.IfVersion):
			return session.OK, made
		case r.present && r.version == c.CAS:
			return session.OK, made
		case r.present:
			// A state whose version nothing showed may still be that version,
			// but whoever knows a version has seen it, so its state shows it.
			return session.Exists, r
		}
	case session.OpAdd:
		if r.present {
			return session.NotStored, r
		}
		return session.OK, made
	case session.OpReplace:
		if r.present {
			return session.OK, made
		}
	case session.OpAppend:
		if r.present {
			r.value, r.version = r.value+string(c.Value), 0
			return session.OK, r
		}
	case session.OpIncr:
		if r.present {
			n, ok := session.ParseNumber([]byte(r.value))
			if !ok {
				return session.NotNumeric, r
			}
			r.value, r.version = string(session.AppendNumber(nil, n+c.Delta, len(r.value))), 0
			return session.OK, r
		}
	}
	return session.NotFound, r
}

// describeHistory writes the end of the shortest part of a history that has no
// explanation.
func describeHistory(ops []porcupine.Operation) string {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	n := 1
	for ; n < len(ops); n++ {
		if porcupine.CheckOperationsTimeout(registers.ToModel(), ops[:n], time.Minute) == porcupine.Illegal {
			break
		}
	}
	const most = 25
	ops = ops[max(0, n-most):n]
	var b strings.Builder
	for _, op := range ops {
		in, out := op.Input.(call), op.Output.(seen)
		fmt.Fprintf(&b, "%9d-%9d client %d op %d value %q expiry %d cas %d: ", op.Call/1000, op.Return/1000, in.client,
			in.command.Op, in.command.Value, in.command.Expiry, in.command.CAS)
		if out.lost {
			fmt.Fprintln(&b, "no reply")
			continue
		}
		fmt.Fprintf(&b, "status %d value %q number %d version %d\n", out.answer.status, out.answer.value, out.answer.number, out.answer.version)
	}
	return b.String()
}

// TestLinearizabilityCheckNoticesDefects shows that the check can fail.
func TestLinearizabilityCheckNoticesDefects(t *testing.T) {
	at := int64(0)
	op := func(c session.Command, a answer) porcupine.Operation {
		at += 10
		c.Key = []byte("k")
		if c.Expiry == 0 {
			c.Expiry = session.Never
		}
		return porcupine.Operation{Input: call{command: c, asked: 1}, Call: at, Output: seen{answer: a, answered: 1}, Return: at + 5}
	}
	set := op(session.Command{Op: session.OpSet, Value: []byte("1")}, answer{status: session.OK, version: 5})
	for name, h := range map[string][]porcupine.Operation{
		"lost write":  {set, op(session.Command{Op: session.OpGet}, answer{status: session.NotFound})},
		"wrong value": {set, op(session.Command{Op: session.OpGet}, answer{status: session.OK, value: []byte("2")})},
		"add won twice": {op(session.Command{Op: session.OpAdd, Value: []byte("1")}, answer{status: session.OK}),
			op(session.Command{Op: session.OpAdd, Value: []byte("2")}, answer{status: session.OK})},
		"stale cas": {set, op(session.Command{Op: session.OpSet, Value: []byte("2")}, answer{status: session.OK, version: 6}),
			op(session.Command{Op: session.OpSet, Mods: session.IfVersion, CAS: 5}, answer{status: session.OK})},
		"lost count": {set, op(session.Command{Op: session.OpIncr, Delta: 1}, answer{status: session.OK, number: 2}),
			op(session.Command{Op: session.OpIncr, Delta: 1}, answer{status: session.OK, number: 2})},
		"resurrection": {set, op(session.Command{Op: session.OpDelete}, answer{status: session.OK}),
			op(session.Command{Op: session.OpGet}, answer{status: session.OK, value: []byte("1")})},
	} {
		if porcupine.CheckOperations(registers.ToModel(), h) {
			t.Errorf("%s: not noticed", name)
		}
	}
}
