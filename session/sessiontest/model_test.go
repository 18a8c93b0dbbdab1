package sessiontest_test

import (
	"strings"
	"testing"

	"cairn/session"
	"cairn/session/sessiontest"
)

func TestModel(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T, clock *sessiontest.Clock) *sessiontest.Instance {
		m := sessiontest.NewModel(2000)
		return &sessiontest.Instance{
			Store:        m,
			MaxValueSize: 2000,
			Close:        m.Close,
			Reopen:       func() session.Store { m.Close(); m.Reopen(); return m },
		}
	})
}

// A broken store is a model with one defect.
type broken struct {
	*sessiontest.Model
	before, after func(b *session.Burst)
}

func (s broken) Try(*session.Burst) bool { return false }

func (s broken) Apply(b *session.Burst, to session.Completer) {
	tampered := session.Burst{Now: b.Now, Commands: append([]session.Command(nil), b.Commands...)}
	if s.before != nil {
		s.before(&tampered)
	}
	session.Do(s.Model, &tampered)
	b.Results = tampered.Results
	if s.after != nil {
		s.after(b)
	}
	to.Complete([]*session.Burst{b})
}

// TestLockstepNoticesDefects shows that the comparison can fail: each defect
// must be found.
func TestLockstepNoticesDefects(t *testing.T) {
	each := func(change func(c *session.Command)) func(b *session.Burst) {
		return func(b *session.Burst) {
			for i := range b.Commands {
				change(&b.Commands[i])
			}
		}
	}
	defects := map[string]broken{
		"touches are forgotten": {before: each(func(c *session.Command) {
			if c.Op == session.OpTouch {
				c.Op = session.OpGet
			}
		})},
		"shortening is ignored": {before: each(func(c *session.Command) { c.Expiry += 1 })},
		"cas is not checked":    {before: each(func(c *session.Command) { c.Mods &^= session.IfVersion })},
		"deletes are lost": {before: each(func(c *session.Command) {
			if c.Op == session.OpDelete && c.Mods == 0 {
				*c = session.Command{Op: session.OpGet, Key: c.Key}
			}
		})},
		"flags are cut": {before: each(func(c *session.Command) { c.Flags &= 0xFFFF })},
		"claims are not kept": {before: each(func(c *session.Command) {
			if c.Op == session.OpGet {
				c.Mods |= session.Peek
			}
		})},
		"versions repeat": {after: func(b *session.Burst) {
			for i := range b.Results {
				if v := b.Results[i].Item.Version; 0 < v && v < sessiontest.ChosenVersions {
					b.Results[i].Item.Version = v/2 + 1
				}
			}
		}},
		"a result is wrong": {after: func(b *session.Burst) { b.Results[0].Number++ }},
	}
	for name, store := range defects {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			store.Model = sessiontest.NewModel(2000)
			l := sessiontest.NewLockstep(7, 2000)
			now := sessiontest.Epoch
			for range 2000 {
				now += 300
				if l.Step(store, now, 5) != nil {
					return
				}
			}
			t.Error("not noticed in 2000 steps")
		})
	}
}

// TestVerifyTellsStatesApart takes back a burst, as a crash may, and asks
// which of the two states is there.
func TestVerifyTellsStatesApart(t *testing.T) {
	store := sessiontest.NewModel(2000)
	l := sessiontest.NewLockstep(3, 2000)
	now := sessiontest.Epoch
	told := 0
	for range 300 {
		now += 1000
		before, modelBefore := store.Clone(), l.Model.Clone()
		if err := l.Step(store, now, 4); err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(store, l.Model, now); err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(before, modelBefore, now); err != nil {
			t.Fatal(err)
		}
		if l.Verify(before, l.Model, now) != nil {
			told++
		}
	}
	if told < 200 {
		t.Errorf("only %d of 300 bursts were told from their absence", told)
	}
}

// TestVerifyTellsPendingFlushes takes back bursts that nothing but a flush to come is
// left of.
func TestVerifyTellsPendingFlushes(t *testing.T) {
	const now = sessiontest.Epoch
	store := sessiontest.NewModel(2000)
	l := sessiontest.NewLockstep(3, 2000)
	flush := func(at session.Time) {
		for _, s := range []session.Store{store, l.Model} {
			session.Do(s, &session.Burst{Now: now, Commands: []session.Command{{Op: session.OpFlush, FlushAt: at}}})
		}
	}
	for _, at := range []session.Time{now + 1, now + 5000} {
		before, modelBefore := store.Clone(), l.Model.Clone()
		flush(at)
		if err := l.Verify(store, l.Model, now); err != nil {
			t.Error(err)
		}
		if l.Verify(before, l.Model, now) == nil || l.Verify(store, modelBefore, now) == nil {
			t.Errorf("a flush at %v was not told from the one before", at)
		}
		if err := l.Verify(before, modelBefore, now); err != nil {
			t.Error(err)
		}
	}
	if err := l.Verify(store, l.Model, now+5000); err != nil {
		t.Errorf("once it was carried out: %v", err)
	}
}

func TestGeneratorIsDeterministic(t *testing.T) {
	commands := func() (out []string) {
		l := sessiontest.NewLockstep(5, 2000)
		var b session.Burst
		l.Generator.Fill(&b, sessiontest.Epoch, 1000)
		for i := range b.Commands {
			out = append(out, sessiontest.Describe(&b.Commands[i]))
		}
		return out
	}
	first, second := commands(), commands()
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("command %d differs: %s and %s", i, first[i], second[i])
		}
	}
}
