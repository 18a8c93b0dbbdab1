package torture

import (
	"sync"
	"testing"
	"time"
)

// TestTakeoverLoop lets one process of the server after the other take over
// under load, and kills takers and givers at random moments in between. What
// was acknowledged is there after each; and unless the process that served was
// killed, no client notices anything.
func TestTakeoverLoop(t *testing.T) {
	t.Parallel()
	l := &takeoverLoop{crashLoop: newCrashLoop(t, newServer(t), 6)}
	l.s.start()
	n := rounds(10, 400)
	for round := range n {
		l.round(pick(l.rng, l.takeOver, l.takeOver, l.killTaker, l.killGiver))
		if l.verify(flushNone); t.Failed() {
			t.Fatalf("in round %d of %d", round, n)
		}
	}
	time.Sleep(settleTime)
	l.verify(flushNone)
	l.s.stop(20 * time.Second)
	figures(t, "%d rounds: %d takeovers, %d takers killed before and %d after they had taken over, %d givers killed; "+
		"%d commands, of which %d unanswered; the longest wait of a takeover %v",
		n, l.taken, l.takersKilled, l.heirsKilled, l.giversKilled, l.commands, l.unanswered, l.longest.Round(time.Millisecond))
}

// takeoverLoop is a crashLoop whose server changes its process.
type takeoverLoop struct {
	*crashLoop

	// what was done
	taken, takersKilled, heirsKilled, giversKilled int
	longest                                        time.Duration // that a client waited for answers
}

// round lets clients work while something happens to the server. event reports
// whether connections may have been cut.
func (l *takeoverLoop) round(event func(heir *server) (cut bool)) {
	l.t.Helper()
	stop := make(chan struct{})
	waits := make([]time.Duration, len(l.clients))
	var wg sync.WaitGroup
	for i, c := range l.clients {
		wg.Go(func() { waits[i] = l.work(c, stop) })
	}
	l.pause(60)
	heir := &server{t: l.t, dir: l.s.dir, sock: l.s.sock, flags: append([]string{"--takeover"}, l.s.flags...)}
	heir.launch()
	cut := event(heir)
	l.pause(40)
	close(stop)
	wg.Wait()
	for i, c := range l.clients {
		if c.err != nil {
			l.t.Errorf("client %s: %v", c.work.prefix, c.err)
		}
		if c.unanswered > 0 && !cut {
			l.t.Errorf("client %s was cut off, but no server died", c.work.prefix)
		}
		if !cut {
			l.longest = max(l.longest, waits[i])
		}
		l.commands, l.unanswered = l.commands+c.commands, l.unanswered+c.unanswered
		c.commands, c.unanswered = 0, 0
	}
}

// work sends pipelines until stop, or the connection breaks, and gives the
// longest time that one took.
func (l *takeoverLoop) work(c *crashClient, stop chan struct{}) (longest time.Duration) {
	if c.conn == nil {
		if c.conn, c.err = connect(l.s.sock, c.dialect); c.err != nil {
			return 0
		}
	}
	for {
		select {
		case <-stop:
			return longest
		default:
		}
		began := time.Now()
		broken := c.step()
		longest = max(longest, time.Since(began))
		if broken || c.err != nil {
			return longest
		}
	}
}

func (l *takeoverLoop) pause(mostMillis int) {
	time.Sleep(time.Duration(l.rng.IntN(mostMillis*1000)) * time.Microsecond)
}

// takeOver waits until the heir serves alone.
func (l *takeoverLoop) takeOver(heir *server) (cut bool) {
	l.t.Helper()
	l.taken++
	defer func() {
		if l.t.Failed() {
			l.t.Logf("the log of the process that was to take over:\n%s", heir.log)
		}
	}()
	l.awaitEnd(l.s)
	if l.s.err != nil {
		l.t.Errorf("the process that gave the server away ended with %v", l.s.err)
	}
	l.adopt(heir)
	return false
}

// killTaker ends the heir, which may have become the server by then.
func (l *takeoverLoop) killTaker(heir *server) (cut bool) {
	l.t.Helper()
	l.pause(120)
	heir.kill()
	for !l.s.answers() {
		select {
		case <-l.s.done:
			l.heirsKilled++
			l.s.start()
			return true
		default:
		}
	}
	l.takersKilled++
	return false
}

// killGiver ends the process that serves, or has served.
func (l *takeoverLoop) killGiver(heir *server) (cut bool) {
	l.t.Helper()
	l.pause(120)
	l.giversKilled++
	l.s.kill()
	l.adopt(heir)
	if err := l.s.awaitReady(30 * time.Second); err != nil {
		l.t.Fatalf("the taker of a giver that died: %v\n%s", err, l.s.log)
	}
	return true
}

func (l *takeoverLoop) adopt(heir *server) {
	heir.flags, l.s = l.s.flags, heir
	l.t.Cleanup(heir.kill)
}

func (l *takeoverLoop) awaitEnd(s *server) {
	l.t.Helper()
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		l.t.Fatalf("the process that gives the server away does not end\n%s", s.log)
	}
}
