package torture

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/session"
)

// TestCrashLoop kills the server at random moments under load, again and again
// on the same data: in the middle of bursts, of flushes, of its own start and
// stop. After each restart every acknowledged effect must be there, and no
// unacknowledged one in part.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	loop := newCrashLoop(t, newServer(t), 6)
	loop.run(rounds(12, 600))
	loop.coverage()
}

// TestOrderlyStopLoop does the same with relaxed durability, where only
// orderly stops promise anything: it checks that they keep it.
func TestOrderlyStopLoop(t *testing.T) {
	t.Parallel()
	loop := newCrashLoop(t, newServer(t, "--durability", "interval:100ms"), 4)
	loop.orderly = true
	loop.run(rounds(4, 100))
}

// crashLoop is a server under load and the clients that keep its journal.
type crashLoop struct {
	t       *testing.T
	rng     *rand.Rand
	s       *server
	clients []*crashClient
	flushes sync.RWMutex // held for writing during a flush: no other command is in flight
	orderly bool         // never kill, only stop

	acknowledged map[string]int // by dialect and operation

	// what was done
	commands, unanswered, flushed, kills, stops, startKills int
	restart                                                 time.Duration // the longest
}

// crashClient is one connection, from one crash to the next.
type crashClient struct {
	rng     *rand.Rand
	dialect dialect
	shadow  *shadow
	work    *workload
	mortals *mortals
	conn    *client
	err     error // a wrong answer

	commands, unanswered int
	acknowledged         map[string]int
}

func newCrashLoop(t *testing.T, s *server, clients int) *crashLoop {
	loop := &crashLoop{t: t, rng: newRand(t), s: s, acknowledged: make(map[string]int)}
	for i := range clients {
		rng := rand.New(rand.NewPCG(loop.rng.Uint64(), uint64(i)))
		c := &crashClient{rng: rng, dialect: dialects[i%len(dialects)], shadow: newShadow(8 << 20), acknowledged: make(map[string]int)}
		c.work = &workload{rng: rng, prefix: fmt.Sprintf("c%d-", i), keys: 40, maxValue: 4000, known: c.shadow.known}
		c.mortals = &mortals{rng: rng, prefix: fmt.Sprintf("m%d-", i)}
		loop.clients = append(loop.clients, c)
	}
	return loop
}

func (l *crashLoop) run(rounds int) {
	l.t.Helper()
	l.s.start()
	for round := range rounds {
		flushed := l.round()
		began := time.Now()
		l.restartServer()
		l.restart = max(l.restart, time.Since(began))
		if l.verify(flushed); l.t.Failed() {
			l.t.Fatalf("in round %d of %d", round, rounds)
		}
	}
	time.Sleep(settleTime)
	l.verify(flushNone)
	figures(l.t, "%d rounds: %d kills, %d orderly stops, %d kills during a start; %d commands, of which %d unanswered; "+
		"%d flushes; longest restart %v", rounds, l.kills, l.stops, l.startKills, l.commands, l.unanswered, l.flushed,
		l.restart.Round(time.Millisecond))
}

// flushOutcome says what became of the flush that a round may contain.
type flushOutcome int

const (
	flushNone flushOutcome = iota
	flushDone
	flushDoubtful
)

// round lets the clients work and ends the server under their feet.
func (l *crashLoop) round() (flushed flushOutcome) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, c := range l.clients {
		wg.Go(func() { c.run(l, stop) })
	}
	time.Sleep(time.Duration(5+l.rng.IntN(150)) * time.Millisecond)
	if l.rng.IntN(4) == 0 {
		flushed = l.flush()
	}
	time.Sleep(time.Duration(l.rng.IntN(40)) * time.Millisecond)
	if flushed != flushDoubtful && (l.orderly || l.rng.IntN(5) == 0) {
		l.stops++
		l.s.stop(20 * time.Second)
	} else {
		l.kills++
		l.s.kill()
	}
	close(stop)
	wg.Wait()
	for _, c := range l.clients {
		l.commands, l.unanswered = l.commands+c.commands, l.unanswered+c.unanswered
		c.commands, c.unanswered = 0, 0
		for what, n := range c.acknowledged {
			l.acknowledged[what] += n
		}
		clear(c.acknowledged)
		if c.err != nil {
			l.t.Errorf("client %s: %v", c.work.prefix, c.err)
		}
	}
	return flushed
}

// flush empties the server while no other command is under way, in three of
// four cases; else it is killed meanwhile.
func (l *crashLoop) flush() flushOutcome {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	c, err := connect(l.s.sock, pick(l.rng, dialects[0], dialects[2]))
	if err != nil {
		l.t.Error(err)
		return flushNone
	}
	defer c.close()
	l.flushed++
	now := wallNow()
	if !l.orderly && l.rng.IntN(4) == 0 {
		c.send([]session.Command{{Op: session.OpFlush}}, now)
		time.Sleep(time.Duration(l.rng.IntN(2000)) * time.Microsecond)
		l.s.signal(syscall.SIGKILL)
		<-l.s.done
		return flushDoubtful
	}
	answers, err := c.do([]session.Command{{Op: session.OpFlush}}, now)
	if err != nil || answers[0].status != session.OK {
		l.t.Errorf("flush: %v %v", answers, err)
		return flushDoubtful
	}
	for _, c := range l.clients { // none of them has commands under way or in doubt
		c.shadow.carryOut(c.shadow.model, []session.Command{{Op: session.OpFlush}}, now)
		c.mortals.flush(true)
	}
	return flushDone
}

func coverageKey(d dialect, c *session.Command) string {
	return fmt.Sprintf("%s %d cas=%t", d.name(), c.Op, c.Has(session.IfVersion))
}

// coverage fails the long form if an operation that some dialect can say, with
// or without a version to compare, was never acknowledged in it.
func (l *crashLoop) coverage() {
	l.t.Helper()
	for _, d := range dialects {
		for _, op := range workloadOps {
			for _, mods := range []session.Mods{0, session.IfVersion} {
				c := session.Command{Op: op, Mods: mods, Key: []byte("k"), CAS: 1, Expiry: session.Never}
				if n := l.acknowledged[coverageKey(d, &c)]; long && d.speaks(&c) && n == 0 {
					l.t.Errorf("never acknowledged: %s", coverageKey(d, &c))
				}
			}
		}
	}
}

// restartServer starts the server again, at times only to kill it at once, and
// at times with values stored in another way.
func (l *crashLoop) restartServer() {
	if l.rng.IntN(3) == 0 {
		l.s.compression = pick(l.rng, "auto", "dict", "block", "off")
	}
	for !l.orderly && l.rng.IntN(4) == 0 {
		l.startKills++
		l.s.launch()
		time.Sleep(time.Duration(l.rng.IntN(60)) * time.Millisecond)
		l.s.kill()
	}
	l.s.start()
}

// verify reads every key of every client and settles what was in doubt.
func (l *crashLoop) verify(flushed flushOutcome) {
	l.t.Helper()
	type reading struct {
		reads   []session.Command
		answers []answer
		now     session.Time
	}
	readings := make([]reading, len(l.clients))
	for i, c := range l.clients {
		if c.conn != nil {
			c.conn.close()
		}
		var err error
		if c.conn, err = connect(l.s.sock, c.dialect); err != nil {
			l.t.Fatal(err)
		}
		r := reading{reads: c.work.reads(), now: wallNow()}
		if r.answers, err = c.conn.do(r.reads, r.now); err != nil {
			l.t.Fatalf("client %s: %v", c.work.prefix, err)
		}
		readings[i] = r
		if flushed == flushDoubtful {
			c.mortals.flush(false)
		}
		asked := wallNow()
		answers, err := c.conn.do(c.mortals.reads(), asked)
		if err == nil {
			err = c.mortals.check(answers, asked, wallNow())
		}
		if err != nil {
			l.t.Errorf("client %s: %v", c.work.prefix, err)
		}
	}
	// A flush in doubt happened for all clients or for none.
	before := make([]shadow, len(l.clients))
	for i, c := range l.clients {
		before[i] = *c.shadow
	}
	settle := func(flushed bool) (errs []error) {
		for i, c := range l.clients {
			*c.shadow = before[i]
			err := c.shadow.settle(readings[i].reads, readings[i].answers, flushed, readings[i].now)
			if err != nil {
				errs = append(errs, fmt.Errorf("client %s: %w", c.work.prefix, err))
			}
		}
		return errs
	}
	errs := settle(false)
	if len(errs) > 0 && flushed == flushDoubtful {
		errs = settle(true)
	}
	for _, err := range errs {
		l.t.Error(err)
	}
}

// run sends pipelined commands until the connection breaks.
func (c *crashClient) run(l *crashLoop, stop chan struct{}) {
	if c.conn == nil {
		if c.conn, c.err = connect(l.s.sock, c.dialect); c.err != nil {
			return
		}
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		l.flushes.RLock()
		broken := c.step()
		l.flushes.RUnlock()
		if broken || c.err != nil {
			return
		}
	}
}

// step sends one pipeline of the workload and, at times, one mortal.
func (c *crashClient) step() (broken bool) {
	now := wallNow()
	commands := c.work.commands(c.dialect, 1+c.rng.IntN(15), now)
	cut, wrong := c.shadow.exchange(c.conn, commands, now)
	c.commands += len(commands)
	c.unanswered += len(c.shadow.doubtful)
	for i := range commands[:len(commands)-len(c.shadow.doubtful)] {
		c.acknowledged[coverageKey(c.dialect, &commands[i])]++
	}
	if c.err = wrong; cut != nil || wrong != nil {
		return true
	}
	if c.rng.IntN(3) > 0 {
		return false
	}
	birth, born := c.mortals.birth(now)
	c.commands += len(birth)
	answers, cut := c.conn.do(birth, now)
	if cut != nil {
		c.unanswered += len(birth) - len(answers)
		return true
	}
	for _, a := range answers {
		if a.status != session.OK {
			c.err = fmt.Errorf("mortal %q: status %d %s", born.key, a.status, a.message)
			return true
		}
	}
	c.mortals.add(born)
	return false
}
