package torture

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"cairn/session"
)

// mortals are items that die within seconds, each under a key of its own: by
// expiry, by a touch that shortens their life, by being overwritten with a
// shorter one, or by delete. After their death they are watched for a while.
// Not safe for concurrent use.
type mortals struct {
	rng    *rand.Rand
	prefix string
	count  int
	watch  []mortal
}

type mortal struct {
	key     []byte
	value   []byte
	expiry  session.Time // once it is acknowledged; 0 after a delete
	flushed bool
}

// birth gives the commands that make one more mortal. It is watched once they
// are acknowledged.
func (m *mortals) birth(now session.Time) ([]session.Command, mortal) {
	m.count++
	key := fmt.Appendf(nil, "%s%d", m.prefix, m.count)
	value := fmt.Appendf(nil, "value of %s %s", key, bytes.Repeat([]byte("-"), m.rng.IntN(2000)))
	dies := session.FromUnix(now.Unix() + 1 + m.rng.Int64N(4))
	long := session.FromUnix(now.Unix() + 86_400 + m.rng.Int64N(20*86_400))
	set := session.Command{Op: session.OpSet, Key: key, Value: value, Expiry: dies}
	born := mortal{key: key, value: value, expiry: dies}
	switch m.rng.IntN(4) {
	case 0:
		return []session.Command{set}, born
	case 1: // a touch takes it from a far bucket to the next
		set.Expiry = long
		return []session.Command{set, {Op: session.OpGet, Mods: session.SetExpiry, Key: key, Expiry: dies}}, born
	case 2: // so does a store
		old := set
		old.Expiry, old.Value = long, []byte("too old")
		return []session.Command{old, set}, born
	}
	set.Expiry, born.expiry = long, 0
	return []session.Command{set, {Op: session.OpDelete, Key: key}}, born
}

// add watches a mortal whose commands were acknowledged.
func (m *mortals) add(born mortal) {
	const most = 300
	m.watch = append(m.watch, born)
	m.watch = m.watch[max(0, len(m.watch)-most):]
}

// flush says that all of them were flushed, or, unless sure, may have been.
func (m *mortals) flush(sure bool) {
	if !sure {
		m.watch = nil
	}
	for i := range m.watch {
		m.watch[i].flushed = true
	}
}

func (m *mortals) reads() []session.Command {
	commands := make([]session.Command, len(m.watch))
	for i := range m.watch {
		commands[i] = session.Command{Op: session.OpGet, Key: m.watch[i].key}
	}
	return commands
}

// check judges the answers to reads asked and answered between two instants. An
// instant within slack of an expiry proves nothing.
func (m *mortals) check(answers []answer, asked, answered session.Time) error {
	const slack = session.Time(1100) // ms: whole seconds, and what clocks differ by
	for i, a := range answers {
		w := &m.watch[i]
		switch {
		case a.status == session.OK && !bytes.Equal(a.value, w.value):
			return fmt.Errorf("%q has the value %.60q, want %.60q", w.key, a.value, w.value)
		case a.status == session.OK && (w.flushed || w.expiry+slack <= asked):
			return fmt.Errorf("%q is back: it was to die at %d (flushed: %t), now it is %d", w.key, w.expiry, w.flushed, asked)
		case a.status != session.OK && !w.flushed && answered+slack <= w.expiry:
			return fmt.Errorf("%q is lost: it was to live until %d, now it is %d", w.key, w.expiry, answered)
		}
	}
	return nil
}

// settleTime is how long after the death of the last mortal it is certain.
const settleTime = 6 * time.Second
