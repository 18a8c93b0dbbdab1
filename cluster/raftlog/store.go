// Package raftlog keeps the logs of all replicas of a node, of many Raft groups, in
// one commit log. A round of all groups is one sync. DESIGN.md says how.
package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/log"
)

// Options of a Store. The zero value of each is its default.
type Options struct {
	// CacheBytes bounds the entries that are kept in memory, of all groups
	// together; default 64 MiB. What a group needs that is older is read from the
	// log.
	CacheBytes int64

	// MaxBytes is the size of the log above which Laggard is called; default
	// 512 MiB.
	MaxBytes int64

	// Laggard is told, from a goroutine of its own, which group keeps the log from
	// becoming shorter: its engine should be flushed and its log compacted. It is
	// called again when the log has grown by another sixteenth of MaxBytes.
	// Default: nobody is told.
	Laggard func(group uint64)

	// Logger is told what operators should know; default: nobody.
	Logger *slog.Logger
}

func (o *Options) complete() {
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 512 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Store is the logs of all groups of a node. Its methods may be called
// concurrently.
type Store struct {
	o   Options
	log *log.Log

	// mu is held before a group's, and that before the commit log's own.
	mu     sync.Mutex
	groups map[uint64]*Group
	told   int64 // the size of the log when Laggard is to be called next

	sharers atomic.Int64 // groups that share the cache
	cached  atomic.Int64 // bytes of entries in memory

	tidying sync.Mutex     // held while the log is made shorter
	running sync.WaitGroup // calls of Laggard
	closing bool           // guarded by mu
}

// MissingError tells of entries of a group that the log should have and has not.
type MissingError struct {
	Group       uint64
	First, Last uint64 // indices
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("raftlog: group %d lacks the entries %d to %d", e.Group, e.First, e.Last)
}

// Open reads what the commit log has. It does not own the log: the caller closes it,
// after the Store.
func Open(l *log.Log, o Options) (*Store, error) {
	o.complete()
	s := &Store{o: o, log: l, groups: map[uint64]*Group{}}
	if err := l.Replay(l.First(), s.replay); err != nil {
		return nil, err
	}
	for _, g := range s.groups {
		if err := g.complete(); err != nil {
			return nil, err
		}
	}
	s.told = o.MaxBytes
	return s, nil
}

// Close waits for calls of Laggard. Nothing may be appended any more.
func (s *Store) Close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.running.Wait()
	s.tidying.Lock() // the last one is over
	defer s.tidying.Unlock()
}

// replay takes over a record of the commit log.
func (s *Store) replay(p log.Position, b []byte) error {
	r, err := decode(b)
	if err == nil && r.kind == kindRemove {
		if g := s.groups[r.group]; g != nil {
			g.cache.clear(s)
			delete(s.groups, r.group)
		}
		return nil
	}
	if err == nil {
		err = s.group(r.group).replay(p, &r)
	}
	if err != nil {
		return fmt.Errorf("raftlog: record %d: %w", p, err)
	}
	return nil
}

// group returns a group, which it makes if there is none. s.mu is held, if others
// know of s.
func (s *Store) group(number uint64) *Group {
	g := s.groups[number]
	if g == nil {
		g = &Group{store: s, number: number}
		s.groups[number] = g
		s.reshare()
	}
	return g
}

// reshare divides the cache among the groups. s.mu is held.
func (s *Store) reshare() {
	s.sharers.Store(int64(len(s.groups)))
	for _, g := range s.groups {
		g.mu.Lock()
		g.cache.fit(s)
		g.mu.Unlock()
	}
}

// Group returns the log of a group. If there is none it is empty: Bootstrap it, or
// append a snapshot.
func (s *Store) Group(number uint64) *Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.group(number)
}

// Groups returns the numbers of the groups that there are, ascending.
func (s *Store) Groups() (numbers []uint64) {
	for _, g := range s.all() {
		if !g.Empty() {
			numbers = append(numbers, g.number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func (s *Store) all() []*Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.groups))
}

// Remove forgets a group, durably. Nobody may use it any more.
func (s *Store) Remove(number uint64) error {
	s.mu.Lock()
	if g := s.groups[number]; g != nil {
		g.mu.Lock()
		g.cache.clear(s)
		g.mu.Unlock()
	}
	delete(s.groups, number)
	s.reshare()
	p, err := s.log.Append(appendHead(nil, kindRemove, number))
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.sync(p); err != nil {
		return err
	}
	return s.tidy()
}

// sync waits until a position is durable.
func (s *Store) sync(p log.Position) error {
	done := make(chan error, 1)
	s.log.Sync(p, func(err error) { done <- err })
	return <-done
}

// tidy makes the commit log shorter, if it can be, by what no group needs any more.
// What remains says all that there is to know of each group.
func (s *Store) tidy() error {
	s.tidying.Lock()
	defer s.tidying.Unlock()
	low, _, _ := s.needed()
	if low <= s.log.First() {
		return nil
	}
	last := log.Position(0)
	for _, g := range s.all() {
		p, err := g.renew(low)
		if err != nil {
			return err
		}
		last = max(last, p)
	}
	truncate := func(err error) {
		if err == nil {
			err = s.log.Truncate(low)
		}
		if err != nil && !errors.Is(err, log.ErrClosed) {
			s.o.Logger.Warn("the cluster's log cannot be truncated", "error", err)
		}
	}
	if last == 0 {
		truncate(nil)
		return nil
	}
	s.log.Sync(last, truncate)
	return nil
}

// needed returns the lowest position of an entry that a group has, and the group.
// If there is none, the position is the next one.
func (s *Store) needed() (low log.Position, group uint64, found bool) {
	low = s.log.Next()
	for _, g := range s.all() {
		if p, ok := g.oldest(); ok && p < low {
			low, group, found = p, g.number, true
		}
	}
	return low, group, found
}

// checkSize calls Laggard if the log has become too long.
func (s *Store) checkSize() {
	if s.o.Laggard == nil {
		return
	}
	size := s.log.Size()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told > s.o.MaxBytes && size < s.o.MaxBytes {
		s.told = s.o.MaxBytes
	}
	if size < s.told || s.closing {
		return
	}
	s.told = size + s.o.MaxBytes/16
	s.running.Go(func() {
		if _, group, found := s.needed(); found {
			s.o.Laggard(group)
		}
	})
}

// Size returns the size of the commit log, in bytes.
func (s *Store) Size() int64 { return s.log.Size() }

// empty reports whether m has nothing to append.
func empty(m *raftpb.Message) bool {
	return len(m.GetEntries()) == 0 && m.Term == nil && m.Vote == nil && m.Commit == nil && m.GetSnapshot() == nil
}
