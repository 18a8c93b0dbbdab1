package group

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
)

// Engine is the store that entries are applied to: *engine.Store with
// Options.ExternalLog.
type Engine interface {
	session.Clock
	Apply(b *session.Burst, to session.Completer)

	Admit(b *session.Burst, level codec.Level) error
	ReplayNoting(at engine.Position, b *session.Burst, note func() []engine.Note) error
	Note(key []byte) ([]byte, error)
	Notes(f func(key, value []byte) error) error

	LogClock() session.Time
	Applied() engine.Position
	DurablePosition() (engine.Position, error)
	MakeDurable(ctx context.Context) (engine.Position, error)
	Digest() (engine.Position, uint64, error)
}

var _ Engine = (*engine.Store)(nil)

// machine is what the log's entries make of an engine, and what beside the
// sessions follows from them: the time of the log, and which bursts have been
// carried out. All of it is a function of the entries alone.
type machine struct {
	engine  Engine
	origins origins
	now     session.Time // the latest instant of an entry
	shared  atomic.Int64 // now, for those who read
	latest  Level        // that this node knows
	roster  atomic.Pointer[Roster]
	held    atomic.Uint64 // every replica has the log up to this index on its disk
	sums    sums

	burst session.Burst // the entry's

	// from tells where a burst comes from, for observers; nil: elsewhere.
	from func(origin Origin, seq Sequence) session.Origin
}

// newMachine takes over what the engine has noted.
func newMachine(e Engine, latest Level) (*machine, error) {
	m := &machine{engine: e, origins: make(origins), latest: latest, now: e.LogClock()}
	m.roster.Store(&Roster{Level: levelBegin})
	err := e.Notes(func(key, value []byte) error {
		switch {
		case len(key) == 0:
			return errNote
		case key[0] == noteOrigin:
			now, err := m.origins.load(key[1:], value)
			m.now = max(m.now, now)
			return err
		case key[0] == noteTime:
			v := fields{rest: value}
			m.now = max(m.now, v.time())
			if v.bad {
				return errNote
			}
			return nil
		case key[0] == noteRoster:
			return m.loadRoster(value)
		}
		return errNote
	})
	if err != nil {
		return nil, err
	}
	m.shared.Store(int64(m.now))
	return m, nil
}

// outcome is what has become of an entry.
type outcome struct {
	entry   entry
	verdict verdict // of a burst
	results []byte  // of a burst that was carried out, now or before: a codec's
}

// apply carries out the entry at position at. An error, other than
// session.ErrClosed, says that this replica must not go on.
func (m *machine) apply(at engine.Position, data []byte) (o outcome, err error) {
	defer func() { m.shared.Store(int64(m.now)) }()
	if o.entry, err = decodeEntry(data, m.latest); err != nil {
		return o, &engine.ReplayError{At: at, Err: err}
	}
	switch e := &o.entry; e.form {
	case formBurst:
		return o, m.applyBurst(at, &o)
	case formTick:
		m.held.Store(max(m.held.Load(), e.held))
		now := max(m.now, e.now)
		err = m.replayEmpty(at, now, func() []engine.Note {
			m.now = now
			return append(m.origins.expire(now), engine.Note{Key: []byte{noteTime}, Value: binary.AppendVarint(nil, int64(now))})
		})
	case formRegister:
		err = m.replayEmpty(at, m.now, func() []engine.Note {
			return []engine.Note{m.origins.register(e.origin, m.now)}
		})
	case formRoster:
		err = m.takeRoster(at, e.roster)
	case formCheck:
		if err = m.replayEmpty(at, m.now, nil); err == nil {
			err = m.check(at, e.sum)
		}
	default:
		err = m.replayEmpty(at, m.now, nil)
	}
	return o, err
}

// applyBurst carries out a burst, unless that has happened.
func (m *machine) applyBurst(at engine.Position, o *outcome) error {
	e := &o.entry
	if o.verdict = m.origins.judge(e); o.verdict != carryOut {
		return m.answerAgain(at, o)
	}
	level, err := codec.DecodeBurst(e.burst, &m.burst)
	if err != nil {
		return &engine.ReplayError{At: at, Err: err}
	}
	m.burst.Now = max(m.burst.Now, m.now)
	m.burst.Origin = m.from(e.origin, e.seq)
	var failed error
	err = m.engine.ReplayNoting(at, &m.burst, func() []engine.Note {
		m.now = m.burst.Now
		if o.results, failed = codec.AppendResults(nil, &m.burst, level); failed != nil {
			o.results = nil // noted as such by every replica
		}
		return []engine.Note{m.origins.note(e, m.now, o.results)}
	})
	m.burst.Reset(0)
	if err == nil {
		err = failed
	}
	return err
}

// answerAgain finds the results of a burst that is not carried out.
func (m *machine) answerAgain(at engine.Position, o *outcome) error {
	if o.verdict == duplicate {
		value, err := m.engine.Note(slotKey(o.entry.origin, o.entry.seq))
		if err == nil {
			o.results, err = resultsOf(value)
		}
		if err != nil {
			return fmt.Errorf("group: results of an earlier burst: %w", err)
		}
	}
	return m.replayEmpty(at, m.now, nil)
}

// replayEmpty moves the engine on without a command.
func (m *machine) replayEmpty(at engine.Position, now session.Time, note func() []engine.Note) error {
	m.burst.Reset(now)
	return m.engine.ReplayNoting(at, &m.burst, note)
}

// clock is the time of the log as far as it is applied. It may be called by
// anybody.
func (m *machine) clock() session.Time { return session.Time(m.shared.Load()) }
