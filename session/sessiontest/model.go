package sessiontest

import (
	"bytes"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"cairn/session"
)

// Model is a session.Store in memory, written to be obviously right. Nothing
// leaves it but by expiry, delete and flush. It is safe for concurrent use.
type Model struct {
	mu           sync.Mutex
	items        map[string]session.Item
	lastVersion  *atomic.Uint64 // shared by all clones
	clonedAt     uint64         // lastVersion when this clone was made
	now          session.Time   // the latest instant seen
	flushAt      session.Time   // of the pending flush, session.Never if none
	maxValueSize int
	closed       bool

	observers session.Observers // of this clone
	events    []session.Event   // of the burst that is being carried out
}

var (
	_ session.Store      = (*Model)(nil)
	_ session.Observable = (*Model)(nil)
)

// NewModel makes an empty model that keeps values of at most maxValueSize
// bytes (0: session.DefaultMaxValueSize).
func NewModel(maxValueSize int) *Model {
	if maxValueSize == 0 {
		maxValueSize = session.DefaultMaxValueSize
	}
	return &Model{
		items:        make(map[string]session.Item),
		lastVersion:  new(atomic.Uint64),
		flushAt:      session.Never,
		maxValueSize: maxValueSize,
	}
}

// Try is session.Store's.
func (m *Model) Try(b *session.Burst) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.onlyReads(b) {
		return false
	}
	m.carryOut(b)
	return true
}

// Apply is session.Store's. The burst is complete when it returns. A burst is
// isolated: others see all of it or nothing.
func (m *Model) Apply(b *session.Burst, to session.Completer) {
	m.mu.Lock()
	m.carryOut(b)
	m.mu.Unlock()
	to.Complete([]*session.Burst{b})
}

func (m *Model) carryOut(b *session.Burst) {
	b.SizeResults()
	m.advance(b.Now)
	for i := range b.Commands {
		c := &b.Commands[i]
		before := m.items[string(c.Key)]
		b.Results[i] = m.execute(c)
		m.note(c, &b.Results[i], before, b.Origin)
	}
	if len(m.events) > 0 {
		m.observers.Observe(m.events)
	}
	m.events = nil
}

// onlyReads reports whether b would leave everything durable as it is.
func (m *Model) onlyReads(b *session.Burst) bool {
	if m.closed || m.flushAt <= max(m.now, b.Now) {
		return false
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		if it := m.items[string(c.Key)]; c.Op != session.OpGet || c.Mods&(session.SetExpiry|session.Vivify) != 0 || wins(c, &it) {
			return false
		}
	}
	return true
}

// Now gives the latest instant that a burst was stamped with; it makes the
// model a session.Clock.
func (m *Model) Now() session.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Close makes every later command fail with session.ErrClosed. Reopen undoes
// it; what was stored is kept.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Reopen lets a closed model serve again.
func (m *Model) Reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = false
}

// Clone gives an independent copy of the model as it is now. Neither of them
// hands out a version that the other has handed out.
func (m *Model) Clone() *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewModel(m.maxValueSize)
	c.lastVersion, c.now, c.flushAt, c.closed = m.lastVersion, m.now, m.flushAt, m.closed
	c.clonedAt = m.lastVersion.Load()
	for key, it := range m.items {
		c.items[key] = it // the bytes in it never change
	}
	return c
}

// Items gives the items that a burst stamped now would find, keys ascending.
// Their bytes are read-only.
func (m *Model) Items(now session.Time) []session.Item {
	m.mu.Lock()
	defer m.mu.Unlock()
	now = max(now, m.now)
	if m.flushAt <= now {
		return nil
	}
	var live []session.Item
	for _, it := range m.items {
		if it.Live(now) {
			live = append(live, it)
		}
	}
	sort.Slice(live, func(i, j int) bool { return bytes.Compare(live[i].Key, live[j].Key) < 0 })
	return live
}

// advance moves the clock to now, or leaves it where it is if now is earlier,
// and does what is due by then: a pending flush first, as it was to happen
// before any command of this instant.
func (m *Model) advance(now session.Time) {
	m.now = max(m.now, now)
	if m.flushAt <= m.now {
		m.flush()
		m.note(&session.Command{Op: session.OpFlush}, &session.Result{Status: session.OK}, session.Item{}, nil)
	}
}

func (m *Model) flush() {
	clear(m.items)
	m.flushAt = session.Never
}

// find gives the item under key, if it exists at m.now. Its Key is key itself.
func (m *Model) find(key []byte) (it session.Item, found bool) {
	it, found = m.items[string(key)]
	if !found || !it.Live(m.now) {
		delete(m.items, string(key))
		return session.Item{}, false
	}
	it.Key = key
	return it, true
}

// put stores it under its key, with copies of all bytes. An item that has
// expired already only removes what was there.
func (m *Model) put(it session.Item) {
	if !it.Live(m.now) {
		delete(m.items, string(it.Key))
		return
	}
	it.Key, it.Value = bytes.Clone(it.Key), slices.Clip(bytes.Clone(it.Value))
	it.Owner = bytes.Clone(it.Owner)
	m.items[string(it.Key)] = it
}

// version gives the version of an item that c changes.
func (m *Model) version(c *session.Command) uint64 {
	if c.Has(session.SetVersion) {
		return c.NewVersion
	}
	return m.lastVersion.Add(1)
}
