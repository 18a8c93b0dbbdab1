package simulate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/zeebo/xxh3"

	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
)

// Engine is what a replica needs of an engine.Store with an external log, in
// memory: get, set, add, touch, incr, delete, set with IfVersion, and the adoption of
// dictionaries, which are numbers. A crash takes back what was applied since the last
// Flush. Everything else is as plain as can be, so that a fault of what stands before it
// shows.
type Engine struct {
	Clock func() session.Time

	current, durable engineState
	seen             session.Time // by readers
}

type engineState struct {
	items   map[string]session.Item
	notes   map[string][]byte
	applied engine.Position
	now     session.Time

	dictionaries uint32 // that were adopted, from 1 on; values are encoded with the last one
}

func (s engineState) clone() engineState {
	s.items, s.notes = maps.Clone(s.items), maps.Clone(s.notes)
	return s
}

// NewEngine makes an empty engine.
func NewEngine(clock func() session.Time) *Engine {
	e := &Engine{Clock: clock}
	e.current = engineState{items: map[string]session.Item{}, notes: map[string][]byte{}}
	e.durable = e.current.clone()
	return e
}

// Flush makes durable what was applied.
func (e *Engine) Flush() { e.durable = e.current.clone() }

// Crash takes back what is not durable.
func (e *Engine) Crash() { e.current, e.seen = e.durable.clone(), 0 }

// Copy makes an engine what another one is, durably.
func (e *Engine) Copy(other *Engine) {
	e.current, e.durable, e.seen = other.current.clone(), other.current.clone(), 0
}

// Same reports whether two engines have the same sessions.
func (e *Engine) Same(other *Engine) bool {
	if e.current.applied != other.current.applied || len(e.current.notes) != len(other.current.notes) ||
		len(e.current.items) != len(other.current.items) || e.current.dictionaries != other.current.dictionaries {
		return false
	}
	for key, it := range e.current.items {
		o := other.current.items[key]
		if o.Version != it.Version || string(o.Value) != string(it.Value) || o.Expiry != it.Expiry {
			return false
		}
	}
	for key, note := range e.current.notes {
		if string(other.current.notes[key]) != string(note) {
			return false
		}
	}
	return true
}

// Corrupt gives the engine an item that no entry has put there, durably.
func (e *Engine) Corrupt(key string) {
	for _, s := range []*engineState{&e.current, &e.durable} {
		s.items[key] = session.Item{Expiry: session.Never}
	}
}

// Has reports whether there is an item, live or not.
func (e *Engine) Has(key string) bool {
	_, found := e.current.items[key]
	return found
}

// Digest hashes everything.
func (e *Engine) Digest() (engine.Position, uint64, error) {
	s, text := e.current, []byte(nil)
	for _, key := range slices.Sorted(maps.Keys(s.items)) {
		it := s.items[key]
		text = fmt.Appendf(text, "%q %d %d %q\n", key, it.Version, it.Expiry, it.Value)
	}
	for _, key := range slices.Sorted(maps.Keys(s.notes)) {
		text = fmt.Appendf(text, "%q %q\n", key, s.notes[key])
	}
	return s.applied, xxh3.Hash(fmt.Appendf(text, "%v %d %d", s.applied, s.now, s.dictionaries)), nil
}

func (e *Engine) Now() session.Time { return max(e.Clock(), e.seen, e.current.now) }

func (e *Engine) Admit(b *session.Burst, level codec.Level) error {
	b.Now = max(b.Now, e.Now())
	b.Frames = b.Frames[:0]
	for i := range b.Commands {
		c := &b.Commands[i]
		if e.current.dictionaries > 0 && (c.Op == session.OpSet || c.Op == session.OpAdd) {
			b.SizeFrames(len(b.Commands))
			b.Frames[i] = session.Frame{Codec: aCodec, Dictionary: e.current.dictionaries, RawLen: uint32(len(c.Value)), Data: c.Value}
		}
	}
	return codec.Check(b, level)
}

// aCodec is that of frames.
const aCodec = 3

// Adoption is the command that lets the log adopt the next dictionary.
func (e *Engine) Adoption() session.Command {
	return session.Command{Op: session.OpAdopt, Value: binary.LittleEndian.AppendUint32(nil, e.current.dictionaries+1)}
}

// Dictionaries is how many were adopted.
func (e *Engine) Dictionaries() int { return int(e.current.dictionaries) }

// adopt serves OpAdopt.
func (e *Engine) adopt(c *session.Command) session.Result {
	if binary.LittleEndian.Uint32(c.Value) != e.current.dictionaries+1 {
		return session.Result{Status: session.Exists}
	}
	e.current.dictionaries++
	return session.Result{Status: session.OK}
}

// open brings the values of frames back, if their dictionaries are known.
func (e *Engine) open(b *session.Burst) error {
	for i := range b.Frames {
		switch f := &b.Frames[i]; {
		case f.Codec == 0:
		case f.Dictionary == 0 || f.Dictionary > e.current.dictionaries:
			return errDictionary
		default:
			b.Commands[i].Value = f.Data
		}
	}
	return nil
}

func (e *Engine) Apply(b *session.Burst, to session.Completer) {
	e.seen = max(e.seen, b.Now)
	b.SizeResults()
	for i := range b.Commands {
		b.Results[i] = e.get(&b.Commands[i], max(e.seen, e.current.now))
	}
	to.Complete([]*session.Burst{b})
}

func (e *Engine) Note(key []byte) ([]byte, error) { return e.current.notes[string(key)], nil }

func (e *Engine) Notes(f func(key, value []byte) error) error {
	keys := make([]string, 0, len(e.current.notes))
	for key := range e.current.notes {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		if err := f([]byte(key), e.current.notes[key]); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) LogClock() session.Time                    { return e.current.now }
func (e *Engine) Applied() engine.Position                  { return e.current.applied }
func (e *Engine) DurablePosition() (engine.Position, error) { return e.durable.applied, nil }

func (e *Engine) MakeDurable(context.Context) (engine.Position, error) {
	e.Flush()
	return e.durable.applied, nil
}

var (
	errOrder      = errors.New("simulate: an entry comes out of order")
	errDictionary = errors.New("simulate: a value was encoded with a dictionary that is not known")
)

func (e *Engine) ReplayNoting(at engine.Position, b *session.Burst, note func() []engine.Note) error {
	if at.Index <= e.current.applied.Index {
		return errOrder
	}
	if err := e.open(b); err != nil {
		return err
	}
	b.Results = b.Results[:0]
	b.SizeResults()
	e.current.now = max(e.current.now, b.Now)
	for i := range b.Commands {
		b.Results[i] = e.carryOut(&b.Commands[i], at.Index*session.MaxCommands+uint64(i))
	}
	if note != nil {
		for _, n := range note() {
			if n.Value == nil {
				delete(e.current.notes, string(n.Key))
			} else {
				e.current.notes[string(n.Key)] = n.Value
			}
		}
	}
	e.current.applied = at
	return nil
}

func (e *Engine) get(c *session.Command, now session.Time) session.Result {
	it, found := e.current.items[string(c.Key)]
	if !found || !it.Live(now) {
		return session.Result{Status: session.NotFound}
	}
	it.Key = c.Key
	return session.Result{Status: session.OK, Item: it}
}

func (e *Engine) carryOut(c *session.Command, version uint64) session.Result {
	it, found := e.current.items[string(c.Key)]
	found = found && it.Live(e.current.now)
	switch {
	case c.Op == session.OpAdopt:
		return e.adopt(c)
	case c.Op == session.OpAdd && found:
		return session.Result{Status: session.NotStored}
	case c.Op == session.OpSet && !c.Has(session.IfVersion), c.Op == session.OpAdd:
		return e.put(c, session.Item{Value: c.Value, Expiry: c.Expiry}, version)
	case !found:
		return session.Result{Status: session.NotFound}
	}
	switch c.Op {
	case session.OpGet:
		return e.get(c, e.current.now)
	case session.OpSet:
		if it.Version != c.CAS {
			return session.Result{Status: session.Exists}
		}
		return e.put(c, session.Item{Value: c.Value, Expiry: c.Expiry}, version)
	case session.OpTouch:
		it.Expiry = c.Expiry
		return e.put(c, it, it.Version)
	case session.OpIncr:
		n, ok := session.ParseNumber(it.Value)
		if !ok {
			return session.Result{Status: session.NotNumeric}
		}
		it.Value = session.AppendNumber(nil, n+c.Delta, 0)
		r := e.put(c, it, version)
		r.Number = n + c.Delta
		return r
	case session.OpDelete:
		delete(e.current.items, string(c.Key))
		return session.Result{Status: session.OK, Item: session.Item{Key: c.Key, Version: it.Version, Born: it.Version}}
	}
	return session.Result{Status: session.Failed, Err: session.ErrBadCommand}
}

func (e *Engine) put(c *session.Command, it session.Item, version uint64) session.Result {
	it.Key, it.Value = nil, append([]byte(nil), it.Value...)
	it.Version, it.Born = version, version
	e.current.items[string(c.Key)] = it
	it.Key, it.Value = c.Key, nil
	return session.Result{Status: session.OK, Item: it}
}
