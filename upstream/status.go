package upstream

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
	"cairn/session"
)

// quietFor is how long the old store must not have had anything until a move can be
// over.
const quietFor = 10 * time.Minute

// Status is how far a move is.
type Status struct {
	Servers []ServerStatus
	Mirror  bool
	Open    bool // false: nothing is asked, because what must not be forgotten cannot be noted

	Since    time.Time
	Ended    string        // why the old store is not asked any more; "": it is
	LastHit  time.Time     // zero: there was none since the start of the process
	Lifetime time.Duration // the longest that a session was given
	Endless  bool          // a session was given that never ends

	// DoneAt is when every session will have been fetched or have ended; zero: that
	// is not known. Done says that the old store can be left, with what it has yet
	// to be told as the only exception.
	DoneAt time.Time
	Done   bool

	Figures
}

// ServerStatus is one server of the old store.
type ServerStatus struct {
	Address   string
	Resting   bool // it did not answer and is left alone for now
	LastError string
	LastAt    time.Time // of LastError
}

// Figures count what has happened to the old store.
type Figures struct {
	Hits, Misses, Failures, Unsuitable uint64
	Removed, RemovedLater              uint64
	Copied, Refused, Dropped           uint64
	Pending, Queue, Known              int
	Resting, Done                      bool
}

// Figures returns the present figures.
func (s *Store) Figures() Figures { return s.Status().Figures }

// Status returns how far the move is.
func (s *Store) Status() Status {
	now := s.o.Clock.Now()
	st := Status{Mirror: s.o.Mirror, Open: s.open.Load(),
		Lifetime: time.Duration(s.counts.lifetime.Load()) * time.Millisecond, Endless: s.counts.endless.Load()}
	if j := s.journal.Load(); j != nil {
		st.Since, st.Ended, st.Pending = j.since.Time(), j.ended(now), j.count()
	}
	for _, v := range s.servers {
		server := v.status()
		st.Resting = st.Resting || server.Resting
		st.Servers = append(st.Servers, server)
	}
	f := &st.Figures
	f.Hits, f.Misses, f.Failures = s.counts.hits.Load(), s.counts.misses.Load(), s.counts.failures.Load()
	f.Unsuitable, f.Removed, f.RemovedLater = s.counts.unsuitable.Load(), s.counts.removed.Load(), s.counts.removedLater.Load()
	f.Copied, f.Refused = s.counts.copied.Load(), s.counts.refused.Load()
	f.Queue, f.Dropped = s.queue.figures()
	f.Known = s.known.size()
	if last := s.counts.lastHit.Load(); last != 0 {
		st.LastHit = session.Time(last).Time()
	}
	if !st.Endless && st.Lifetime > 0 && !st.Since.IsZero() {
		st.DoneAt = st.Since.Add(st.Lifetime)
	}
	at := now.Time()
	st.Done = st.Ended != "" || !st.DoneAt.IsZero() && !at.Before(st.DoneAt) && at.Sub(st.LastHit) > quietFor && !st.Resting
	f.Done = st.Done
	return st
}

func (v *server) status() ServerStatus {
	v.mu.Lock()
	defer v.mu.Unlock()
	return ServerStatus{Address: v.source.String(), Resting: v.rest > 0, LastError: v.lastErr, LastAt: v.lastAt}
}

var declared = figures.Set[Figures]{
	lookups("hit", func(f Figures) uint64 { return f.Hits }),
	lookups("miss", func(f Figures) uint64 { return f.Misses }),
	lookups("error", func(f Figures) uint64 { return f.Failures }),
	lookups("unsuitable", func(f Figures) uint64 { return f.Unsuitable }),
	removals("at_once", func(f Figures) uint64 { return f.Removed }),
	removals("later", func(f Figures) uint64 { return f.RemovedLater }),
	copies("copied", func(f Figures) uint64 { return f.Copied }),
	copies("refused", func(f Figures) uint64 { return f.Refused }),
	copies("dropped", func(f Figures) uint64 { return f.Dropped }),
	figures.Gauge("cairn_upstream_pending_removals", "Sessions removed here that the upstream has yet to be told of.", func(f Figures) int { return f.Pending }),
	figures.Gauge("cairn_upstream_queue", "Sessions that wait to be copied to the upstream, or removed there.", func(f Figures) int { return f.Queue }),
	figures.Flag("cairn_upstream_down", "1 while the upstream does not answer and is left alone.", func(f Figures) bool { return f.Resting }),
	figures.Flag("cairn_upstream_done", "1 once nothing is to be had from the upstream any more.", func(f Figures) bool { return f.Done }),
}

func lookups(outcome string, count func(Figures) uint64) figures.Figure[Figures] {
	return figures.Counter("cairn_upstream_lookups_total", "Sessions asked for at the upstream by outcome.", count).With("outcome", outcome)
}

func removals(when string, count func(Figures) uint64) figures.Figure[Figures] {
	return figures.Counter("cairn_upstream_removals_total", "Sessions removed at the upstream by when it was told.", count).With("when", when)
}

func copies(outcome string, count func(Figures) uint64) figures.Figure[Figures] {
	return figures.Counter("cairn_upstream_copies_total", "Sessions copied to the upstream by outcome.", count).With("outcome", outcome)
}

// Describe and Collect make the store a prometheus.Collector. Describe needs no
// store: s may be nil.
func (s *Store) Describe(ch chan<- *prometheus.Desc) { declared.Describe(ch) }

// Collect sends the present figures.
func (s *Store) Collect(ch chan<- prometheus.Metric) { declared.Collect(ch, s.Figures()) }

// stateName is the file with what is better not forgotten when a process ends. After
// a crash it is.
const stateName = "upstream.state"

// state is what that file has.
type state struct {
	Target   string
	Known    []byte
	Queue    [][]byte
	Lifetime int64
	Endless  bool
	LastHit  int64
}

func (s *Store) save() error {
	data, err := json.Marshal(state{
		Target: s.target(), Known: s.known.pack(s.o.Clock.Now()), Queue: s.queue.all(),
		Lifetime: s.counts.lifetime.Load(), Endless: s.counts.endless.Load(), LastHit: s.counts.lastHit.Load(),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.o.Dir, stateName), data, 0o600)
}

// load takes over what save has written, once.
func (s *Store) load() {
	path := filepath.Join(s.o.Dir, stateName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var st state
	err = errors.Join(err, json.Unmarshal(data, &st), os.Remove(path))
	if err != nil {
		s.o.Logger.Warn("the state of the upstream is lost", "error", err)
		return
	}
	if !sameMove(st.Target, s.target()) {
		return
	}
	s.known.unpack(st.Known)
	for _, key := range st.Queue {
		if len(key) > 0 {
			s.queue.add(string(key), false)
		}
	}
	s.counts.lifetime.Store(max(st.Lifetime, s.counts.lifetime.Load()))
	s.counts.endless.Store(st.Endless || s.counts.endless.Load())
	s.counts.lastHit.Store(max(st.LastHit, s.counts.lastHit.Load()))
}
