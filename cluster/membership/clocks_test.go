package membership

import (
	"testing"
	"time"
)

// tower is nodes with clocks of their own that say what these show.
type tower struct {
	*village
	members []*Membership
	ahead   []time.Duration // of the right time
}

// newTower makes a cluster of nodes whose clocks are ahead of the right time.
func newTower(t *testing.T, ahead ...time.Duration) *tower {
	w := &tower{village: newVillage(t), ahead: ahead}
	dirs := make([]string, len(ahead))
	for i := range ahead {
		dirs[i] = t.TempDir()
		w.start(i, dirs[i])
	}
	w.talk(w.members...)
	w.talk(w.members...)
	return w
}

// start starts a node, in place of the one before.
func (w *tower) start(i int, dir string) {
	m := w.add(dir, len(w.ahead))
	m.clock = func() time.Time { return w.now.Add(w.ahead[i]) }
	if i < len(w.members) {
		w.members[i] = m
		return
	}
	w.members = append(w.members, m)
}

// passes lets time pass, and some of the nodes talk to each other.
func (w *tower) passes(d time.Duration, talking ...int) {
	var up []*Membership
	for _, i := range talking {
		up = append(up, w.members[i])
	}
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(500 * time.Millisecond) {
		w.talk(up...)
		for _, m := range up {
			m.Clock()
		}
	}
}

// want checks what nodes make of their clocks: f fit, w wrong, u neither.
func (w *tower) want(verdicts string) {
	w.t.Helper()
	got := ""
	for _, m := range w.members {
		switch c := m.Clock(); {
		case c.Fit && !c.Wrong:
			got += "f"
		case c.Wrong && !c.Fit:
			got += "w"
		case !c.Wrong:
			got += "u"
		}
	}
	if got != verdicts {
		w.t.Errorf("clocks ahead by %v: %s, want %s", w.ahead, got, verdicts)
	}
}

func TestClocks(t *testing.T) {
	const h = time.Hour
	for _, test := range []struct {
		ahead    []time.Duration
		verdicts string
	}{
		{[]time.Duration{0}, "f"},
		{[]time.Duration{h}, "f"},
		{[]time.Duration{0, h}, "ff"}, // nobody can tell which
		{[]time.Duration{0, 0, 0}, "fff"},
		{[]time.Duration{0, 4 * time.Second, -time.Second}, "fff"},
		{[]time.Duration{h, 0, 0}, "wff"},
		{[]time.Duration{0, -h, 0}, "fwf"},
		{[]time.Duration{0, 0, 6 * time.Second}, "ffw"},
		{[]time.Duration{h, h, 0}, "ffw"},
		{[]time.Duration{-h, 0, h}, "wfw"},
		{[]time.Duration{0, h, 0, 0}, "fwff"},
		{[]time.Duration{0, h, 0, h}, "ffff"},
		{[]time.Duration{0, h, 0, h, 2 * h}, "wfwfw"},
		{[]time.Duration{0, -h, 0, h, 0}, "fwfwf"},
	} {
		newTower(t, test.ahead...).want(test.verdicts)
	}
}

// TestClockAhead says how far a clock is ahead, over messages that are late.
func TestClockAhead(t *testing.T) {
	w := newTower(t, 2*time.Second, 0, 0)
	near := func(i int, want time.Duration) {
		t.Helper()
		if got := w.members[i].Clock().Ahead; (got - want).Abs() > time.Millisecond {
			t.Errorf("node %d is ahead by %v, want %v", i, got, want)
		}
	}
	near(0, 2*time.Second)
	near(1, 0)
	for range 3 { // a while passes until they are heard
		said := [][]byte{w.members[1].State(Log{}, nil), w.members[2].State(Log{}, nil)}
		w.now = w.now.Add(900 * time.Millisecond)
		for i, text := range said {
			if err := w.members[0].Heard(w.members[i+1].identity.Node, 1, "", text); err != nil {
				t.Fatal(err)
			}
		}
	}
	near(0, 2*time.Second)
	w.ahead[0] = -time.Hour // its clock is set
	near(0, -time.Hour)
	w.want("wff")
}

// TestClockAtStart starts a node whose clock is wrong: it is not fit before it knows what
// most others' clocks show.
func TestClockAtStart(t *testing.T) {
	w := newTower(t, 0, 0, 0)
	dir := w.members[0].dir
	w.ahead[0] = time.Hour
	w.start(0, dir)
	w.want("uff")
	w.say(w.members[1], w.members[0])
	w.want("uff") // which of the two is wrong?
	w.say(w.members[2], w.members[0])
	w.want("wff")

	// A right one is fit as soon as it has heard one other.
	w.ahead[0] = 0
	w.start(0, dir)
	w.want("uff")
	w.say(w.members[1], w.members[0])
	w.want("fff")

	// Without others it waits for a while, as they do that cannot tell who is wrong.
	w.ahead[0] = time.Hour
	w.start(0, dir)
	w.passes(clockGrace-time.Second, 0, 1)
	w.want("uff")
	w.passes(2*time.Second, 0, 1)
	w.want("fff")
}

// TestClockOfTwo lets the third node go: that one of the two that are left is wrong was
// known before, until its clock is right.
func TestClockOfTwo(t *testing.T) {
	w := newTower(t, 0, time.Hour, 0)
	w.want("fwf")
	w.passes(time.Minute, 0, 1)
	if !w.members[1].Clock().Wrong || !w.members[0].Clock().Fit || !w.members[0].Unfit(w.members[1].identity.Node) {
		t.Error("one of two forgets that its clock is wrong")
	}
	w.ahead[1] = 0
	w.passes(time.Minute, 0, 1)
	if !w.members[1].Clock().Fit || w.members[0].Unfit(w.members[1].identity.Node) {
		t.Error("one of two whose clock is right again is not fit")
	}
	// If both take theirs for wrong, and nobody can tell, they go on.
	w.ahead[1] = time.Hour
	w.passes(time.Second, 0, 1)
	w.members[0].trust, w.members[1].trust = wrong, wrong
	w.passes(5*time.Second, 0, 1)
	if !w.members[0].Clock().Fit || !w.members[1].Clock().Fit {
		t.Error("no node is fit to lead")
	}
}

// TestClockOfOldVersions lets the others not say what their clocks show.
func TestClockOfOldVersions(t *testing.T) {
	w := newTower(t, time.Hour, 0, 0)
	dir := w.members[0].dir
	w.members[1].clock, w.members[2].clock = nil, nil
	w.start(0, dir)
	w.say(w.members[1], w.members[0])
	w.want("uff")
	w.say(w.members[2], w.members[0])
	w.want("fff")
}
