package serve

import (
	"runtime"
	"testing"
	"time"
)

// waits reports whether a wait for events would be one.
func (l *loop) waits() (begun bool) {
	l.wait.Read(func(uintptr) bool { begun = true; return true })
	return begun
}

// The deadline that wakes a loop must not end the next wait as well.
func TestWokenLoopSleepsAgain(t *testing.T) {
	b := newLoopBench(t, sized{})
	for range 3 {
		done := 0
		go func() {
			for !b.asleep.Load() {
				runtime.Gosched()
			}
			b.do(func() { done++ })
		}()
		b.round()
		if done != 1 || b.asleep.Load() {
			t.Errorf("woken: %d tasks done, asleep: %v", done, b.asleep.Load())
		}
		if !b.waits() {
			t.Error("the loop would not wait any more")
		}
		if done = 0; !b.do(func() { done++ }) || !b.waits() {
			t.Error("the loop was woken though it was awake")
		}
		if b.readMail(); done != 1 {
			t.Error("a task that came while the loop was awake was not done")
		}
	}
}

// An alarm that goes off while the loop is awake is set again.
func TestAlarmWhileAwake(t *testing.T) {
	b := newLoopBench(t, sized{})
	b.server.options.IdleTimeout = time.Minute
	for range 2 {
		b.nextSweep = time.Now()
		b.setAlarm()
		for !b.hasMail() {
			runtime.Gosched()
		}
		b.readMail()
		if !b.alarmAt.IsZero() {
			t.Error("the alarm went off, and the loop takes it for set")
		}
	}
	b.nextSweep = time.Now().Add(time.Hour)
	b.setAlarm()
	if b.alarmAt != b.nextSweep {
		t.Errorf("the alarm is set to %v, not %v", b.alarmAt, b.nextSweep)
	}
	b.server.options.IdleTimeout = 0
	if b.setAlarm(); !b.alarmAt.IsZero() || b.alarm.Stop() {
		t.Error("the alarm is still set though nothing is due")
	}
}
