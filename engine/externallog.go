package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"

	"cairn/engine/record"
	"cairn/session"
)

// Position is the place of an entry in a log that is kept outside of the store.
type Position = record.Position

// batchLog is where batches are durable until they are in tables.
type batchLog interface {
	// append applies a batch and lets the log have it. If wait is set,
	// Batch.SyncWait waits until it is durable.
	append(batch *pebble.Batch, wait bool) error

	// sync makes durable what has been appended.
	sync() error

	// checkpoint makes dir a copy of the store with all that has been appended.
	checkpoint(dir string) error
}

// ownLog is the log that Pebble writes.
type ownLog struct{ s *Store }

func (l ownLog) append(batch *pebble.Batch, wait bool) error {
	if wait {
		return l.s.files.db.ApplyNoSyncWait(batch, pebble.Sync)
	}
	return l.s.files.db.Apply(batch, pebble.NoSync)
}

func (l ownLog) sync() error { return l.s.files.db.LogData(nil, pebble.Sync) }

// checkpoint copies the log. Pebble copies nothing of a manifest that it has read and
// not written to, as after a crash between the manifest and the first log of a start:
// a flush makes it write one.
func (l ownLog) checkpoint(dir string) error {
	err := l.s.files.db.Checkpoint(dir, pebble.WithFlushedWAL())
	if err != nil {
		return err
	}
	empty, err := hasEmptyManifest(l.s.options.FS, dir)
	if err != nil || !empty {
		return err
	}
	if err := l.s.options.FS.RemoveAll(dir); err != nil {
		return err
	}
	if err := l.s.files.flush(context.Background()); err != nil {
		return err
	}
	return l.s.files.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

func hasEmptyManifest(fs vfs.FS, dir string) (bool, error) {
	names, err := fs.List(dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "MANIFEST-") {
			continue
		}
		if info, err := fs.Stat(fs.PathJoin(dir, name)); err != nil || info.Size() == 0 {
			return true, err
		}
	}
	return false, nil
}

// foreignLog stands for a log that others keep, in which an entry is durable
// before it is replayed. Pebble writes none.
type foreignLog struct{ s *Store }

func (l foreignLog) append(batch *pebble.Batch, _ bool) error {
	return l.s.files.db.Apply(batch, pebble.NoSync)
}

func (l foreignLog) sync() error { return nil }

// checkpoint copies tables only, so all must be in tables first.
func (l foreignLog) checkpoint(dir string) error {
	if err := l.s.files.flush(context.Background()); err != nil {
		return err
	}
	return l.s.files.db.Checkpoint(dir)
}

func (s *Store) newBatchLog() batchLog {
	if s.options.ExternalLog {
		return foreignLog{s}
	}
	return ownLog{s}
}

// replayed is what a store with Options.ExternalLog knows of its log.
type replayed struct {
	mu      sync.Mutex // held while an entry is replayed
	applied Position   // the last entry whose effect is in the store
	base    uint64     // of versions
	values  scratch    // that the entry has as frames only
	adopted uint64     // index of the last entry that adopted a dictionary, or of the start

	// now is the latest instant that an entry has had. What is written depends
	// on it, and never on horizon.seen, which readers move.
	now atomic.Int64

	stopped atomic.Pointer[ReplayError]
}

func (l *replayed) clock() session.Time { return session.Time(l.now.Load()) }

// load takes over what was stored. The base of a store that has had a log of its
// own is above all versions that it can have handed out.
func (l *replayed) load(stored *record.Ledger) {
	l.applied, l.base, l.adopted = stored.Applied, stored.Base, stored.Applied.Index
	if l.base == 0 {
		l.base = stored.Version + versionGap
	}
	l.now.Store(int64(stored.Now))
}

// versionsPerEntry is how many versions an entry of the log has, one for each
// command.
const versionsPerEntry = session.MaxCommands

// lastIndex is the highest index whose versions can be told from those that
// clients choose.
const lastIndex = 1 << 48

// firstVersion is the version of the first command of the entry at index.
func (l *replayed) firstVersion(index uint64) uint64 { return l.base + index*versionsPerEntry }

// Applied returns the position of the last entry that was replayed.
func (s *Store) Applied() Position {
	s.replayed.mu.Lock()
	defer s.replayed.mu.Unlock()
	return s.replayed.applied
}

// LogClock returns the latest instant that an entry has had, or that the store had
// come to before it followed a log. It is part of what all stores of a log agree on.
func (s *Store) LogClock() session.Time { return s.replayed.clock() }

// DurablePosition returns the last position whose effect, and that of all before
// it, survives a crash: a log must be replayed from the next one on. It moves on
// when memtables have become tables; see MakeDurable.
func (s *Store) DurablePosition() (Position, error) {
	if !s.doors.enter() {
		return Position{}, session.ErrClosed
	}
	defer s.doors.leave()
	return s.durablePosition()
}

// durablePosition is DurablePosition of a store that is open.
func (s *Store) durablePosition() (Position, error) {
	ledger, err := s.durableLedger()
	if err != nil {
		return Position{}, fmt.Errorf("engine: durable position: %w", s.readError(err))
	}
	return ledger.Applied, nil
}

func (s *Store) durableLedger() (l *record.Ledger, err error) {
	iter, err := s.files.db.NewIter(&pebble.IterOptions{
		LowerBound:                record.LedgerKey,
		UpperBound:                append(record.LedgerKey[:len(record.LedgerKey):len(record.LedgerKey)], 0),
		OnlyReadGuaranteedDurable: true,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	if !iter.First() {
		return new(record.Ledger), iter.Error()
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		return nil, err
	}
	return record.DecodeLedger(value)
}

// MakeDurable moves what has been replayed into tables and returns the durable
// position after that. A log may be cut off behind it.
func (s *Store) MakeDurable(ctx context.Context) (Position, error) {
	if !s.doors.enter() {
		return Position{}, session.ErrClosed
	}
	defer s.doors.leave()
	if err := s.files.flush(ctx); err != nil {
		return Position{}, fmt.Errorf("engine: flush: %w", err)
	}
	return s.durablePosition()
}

// Digest returns a hash of what the store counts of itself (its clock, its
// versions, the items and bytes that expire in each minute) and the position at
// which that is so. Stores that have replayed the same entries have the same. It takes
// time for each minute in which something expires, none for what that is. How it is
// made is never changed: stores of several versions are compared by it.
func (s *Store) Digest() (Position, uint64, error) {
	s.replayed.mu.Lock()
	defer s.replayed.mu.Unlock()
	if !s.doors.enter() {
		return Position{}, 0, session.ErrClosed
	}
	defer s.doors.leave()
	at := s.replayed.applied
	version, slots := s.memory.ledger.digest(s.replayed.clock())
	text := make([]byte, 0, 6*8)
	for _, n := range []uint64{at.Index, at.Term, s.replayed.base, uint64(s.replayed.clock()), version, slots} {
		text = binary.LittleEndian.AppendUint64(text, n)
	}
	return at, xxh3.Hash(text), nil
}
