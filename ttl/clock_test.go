package ttl

import (
	"sync"
	"testing"
	"time"

	"cairn/session"
)

// machine is a Source that the test moves.
type machine struct {
	mu                   sync.Mutex
	wall                 session.Time
	elapsed, asleepSoFar time.Duration
}

func (m *machine) source() Source {
	return Source{
		Wall:    func() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.wall.Time() },
		Elapsed: func() time.Duration { m.mu.Lock(); defer m.mu.Unlock(); return m.elapsed },
		Asleep:  func() time.Duration { m.mu.Lock(); defer m.mu.Unlock(); return m.asleepSoFar },
	}
}

// pass lets time pass as it should.
func (m *machine) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = m.wall.Add(d)
	m.elapsed += d
}

// step moves the wall clock only.
func (m *machine) step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = m.wall.Add(d)
}

// sleep suspends the machine.
func (m *machine) sleep(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = m.wall.Add(d)
	m.asleepSoFar += d
}

func wantNow(t *testing.T, c *Clock, want session.Time) {
	t.Helper()
	if now := c.Now(); now != want {
		t.Errorf("clock shows %d, want %d (%v off)", now, want, time.Duration(now-want)*time.Millisecond)
	}
}

func TestClockStarts(t *testing.T) {
	for _, c := range []struct {
		mark, want session.Time
		jump       time.Duration
	}{
		{0, epoch, time.Duration(epoch) * time.Millisecond},
		{epoch - 1000, epoch, time.Second},
		{epoch, epoch, 0},
		{epoch + 5000, epoch + 5000, -5 * time.Second},
	} {
		m := &machine{wall: epoch, elapsed: 1234 * time.Millisecond}
		clock, jump := NewClock(m.source(), c.mark)
		wantNow(t, clock, c.want)
		if jump != c.jump {
			t.Errorf("mark %d: jump %v, want %v", c.mark, jump, c.jump)
		}
		m.pass(time.Minute)
		wantNow(t, clock, c.want.Add(time.Minute))
	}
}

// Steps of the wall clock end no session before its time.
func TestClockDoesNotFollowSteps(t *testing.T) {
	m := &machine{wall: epoch}
	clock, _ := NewClock(m.source(), 0)
	m.step(-5 * time.Hour)
	wantNow(t, clock, epoch)
	m.pass(time.Minute)
	clock.Adjust()
	wantNow(t, clock, epoch.Add(time.Minute))
	m.step(10 * time.Hour) // now 5 h ahead
	wantNow(t, clock, epoch.Add(time.Minute))
}

// It gains on a wall clock that is ahead, slowly, and not beyond it.
func TestClockGains(t *testing.T) {
	m := &machine{wall: epoch}
	clock, _ := NewClock(m.source(), 0)
	m.step(30 * time.Second)
	for range 3000 {
		before := clock.Now()
		m.pass(time.Second)
		ahead := clock.Adjust()
		if gain := clock.Now().Sub(before) - time.Second; gain < 0 || gain > time.Second/slewShare {
			t.Fatalf("gained %v in a second", gain)
		}
		if ahead < 0 {
			t.Fatalf("the wall clock is %v ahead", ahead)
		}
	}
	wantNow(t, clock, m.wall)
	m.pass(time.Hour)
	clock.Adjust()
	wantNow(t, clock, m.wall)
}

// What the machine sleeps is time that passes.
func TestClockCountsSuspension(t *testing.T) {
	m := &machine{wall: epoch}
	clock, _ := NewClock(m.source(), 0)
	m.pass(time.Minute)
	m.sleep(3 * time.Hour)
	clock.Adjust()
	wantNow(t, clock, epoch.Add(time.Minute+3*time.Hour))
	clock.Adjust()
	wantNow(t, clock, epoch.Add(time.Minute+3*time.Hour))
}

func TestClockFromWall(t *testing.T) {
	m := &machine{wall: epoch}
	clock, _ := NewClock(FromWall(m.source().Wall), 0)
	m.step(time.Hour)
	wantNow(t, clock, epoch.Add(time.Hour))
	m.step(-2 * time.Hour)
	wantNow(t, clock, epoch.Add(time.Hour))
	clock.Adjust()
	wantNow(t, clock, epoch.Add(time.Hour))
	m.step(3 * time.Hour)
	wantNow(t, clock, epoch.Add(2*time.Hour))
}

func TestClockNeverDecreases(t *testing.T) {
	m := &machine{wall: epoch}
	clock, _ := NewClock(m.source(), 0)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := clock.Now()
			for range 20_000 {
				now := clock.Now()
				if now < last {
					t.Errorf("%d after %d", now, last)
				}
				last = now
			}
		})
	}
	for i := range 2000 {
		m.pass(time.Duration(i%7) * time.Millisecond)
		m.step(time.Duration(i%13-6) * time.Second)
		clock.Adjust()
	}
	readers.Wait()
}

func TestSystemClockRuns(t *testing.T) {
	clock, _ := NewClock(System(), 0)
	if off := time.Since(clock.Now().Time()).Abs(); off > time.Hour {
		t.Errorf("%v off", off)
	}
	clock.Adjust()
}
