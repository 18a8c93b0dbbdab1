package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
	"cairn/engine/compress"
	"cairn/engine/disk"
	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// ErrLocked is the error of Open when another process has the data directory
// open.
var ErrLocked = errors.New("data directory is in use by another process")

// versionGap is how many versions a start skips. With Durability.Interval, a
// crash forgets versions that clients have seen; none of them may come back.
// No store hands out this many within MaxInterval.
const versionGap = 1 << 26

// Open opens the store in o.Dir, or makes one. Buckets that died while the
// store was closed, and a flush that fell due meanwhile, take effect before it
// returns.
func Open(o Options) (*Store, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := newStore(&o)
	var spent laps
	if err := s.open(&spent); err != nil {
		err = errors.Join(err, s.files.release())
		return nil, fmt.Errorf("engine: open %s: %w", o.Dir, err)
	}
	s.stations.open(s)
	if o.JustClosed && !o.ReadOnly {
		o.Logger.Info("the store was taken over", spent.args...)
	}
	return s, nil
}

// laps are what the time of an Open was spent on.
type laps struct {
	since time.Time
	args  []any // for a logger
}

// end ends a lap.
func (l *laps) end(name string) {
	now := time.Now()
	l.args = append(l.args, name, now.Sub(l.since))
	l.since = now
}

// newStore makes a store that is not open. o is complete.
func newStore(o *Options) *Store {
	s := &Store{options: *o}
	s.compression.values = compress.New(o.Compression == CompressionDict)
	s.compression.dictionaries = compress.NewDictionaries(s.compression.values, dictionaryStorage{s}, o.Logger)
	s.files.disk = disk.New(disk.Options{
		FS: o.FS, Dir: o.Dir, Logger: o.Logger, Fatal: o.Fatal,
		MemtableBytes: o.MemtableBytes, SpareLogs: o.SpareLogs, Reserve: o.reserveOf, Watch: o.watchDisk,
		FailoverDir: o.LogFailoverDir, FailoverAfter: o.LogFailoverAfter,
		OpenFiles: o.OpenFiles, ReadOnly: o.ReadOnly, Known: o.JustClosed,
		Later: o.JustClosed && !o.ReadOnly && !o.ExternalLog, Short: o.short,
	})
	return s
}

func (s *Store) open(spent *laps) (err error) {
	o := &s.options
	spent.since = time.Now()
	s.files.disk.Hurry() // somebody waits
	defer s.files.disk.Calm()
	defer s.files.disk.Opened()
	found, err := s.openDir()
	if err != nil {
		return err
	}
	s.files.features.bits.Store(uint32(found))
	if o.standIn != nil && !o.ReadOnly {
		o.standIn.forStore(s.files.disk)
	}
	s.memory.hot = newHotEntries(o.HotBytes, o.largeValue)
	findLogs := s.files.disk.OpenFailover
	if o.ReadOnly {
		findLogs = s.files.disk.FindLogs
	}
	if err := findLogs(); err != nil {
		return err
	}
	if !o.JustClosed {
		if err := disk.Inspect(o.FS, o.Dir); err != nil {
			return err
		}
	}
	if err := s.files.disk.OpenLogs(); err != nil {
		return err
	}
	s.files.blocks = newBlockCache(o)
	spent.end("lock")
	options := s.pebbleOptions()
	if s.files.db, err = openPebble(o.Dir, options); err != nil {
		return s.blame(options, err)
	}
	if o.standIn != nil && !o.ReadOnly {
		o.standIn.setOpen()
	}
	spent.end("tables")
	s.files.log = s.newBatchLog()
	if err := s.load(); err != nil {
		return s.blame(options, err)
	}
	spent.end("load")
	if err := s.start(); err != nil {
		return s.blame(options, err)
	}
	spent.end("start")
	return nil
}

// blame adds to err, with which the store could not be opened, what is damaged.
func (s *Store) blame(options *pebble.Options, err error) error {
	if durable.Passing(err) {
		return err
	}
	return disk.Blame(s.options.FS, s.options.Dir, options, err)
}

// openDir makes the data directory, if there is none, and locks it.
func (s *Store) openDir() (found features, err error) {
	o := &s.options
	if o.ReadOnly {
		return readFormat(o.FS, o.Dir)
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return 0, err
	}
	if s.files.lock, err = lockDir(o); err != nil {
		return 0, err
	}
	return checkFormat(o.FS, o.Dir)
}

// openPebble makes an error of what Pebble panics with, such as a failed sync of
// a directory.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("pebble: %v", p)
		}
	}()
	return pebble.Open(dir, o)
}

// lockDir locks the data directory. Only what fails at the lock itself means
// that somebody else has it; opening the lock's file fails for other reasons.
func lockDir(o *Options) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(o.Dir, o.FS)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EROFS):
		return nil, fmt.Errorf("data directory is on a read-only file system (%w)", err)
	case errors.Is(err, fs.ErrPermission) && isPathError(err):
		return nil, fmt.Errorf("no permission to write to the data directory%s (%w)", ownership(o.FS, o.Dir), err)
	case isPathError(err):
		return nil, fmt.Errorf("data directory cannot be used: %w", err)
	}
	return nil, ErrLocked // the system says only that the file is locked
}

func isPathError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

// ownership says for an error message whom the directory belongs to, "" if
// that is unknown.
func ownership(in vfs.FS, dir string) string {
	info, err := in.Stat(dir)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf(": it belongs to uid %d with mode %04o, and this process runs as uid %d",
		stat.Uid, info.Mode().Perm(), os.Geteuid())
}

// load reads what the store must know about itself.
func (s *Store) load() error {
	stored, err := s.loadLedger()
	if err != nil {
		return err
	}
	s.startClock(stored)
	if err := s.startVersions(stored); err != nil {
		return err
	}
	if stored.Applied != (record.Position{}) && !s.options.ExternalLog {
		if err := s.leaveLog(stored); err != nil {
			return err
		}
	}
	s.memory.ledger.load(stored)
	s.memory.ledger.advance(s.writeClock())
	if err := s.loadFlushAt(); err != nil {
		return err
	}
	if err := s.loadDictionaries(); err != nil {
		return err
	}
	if err := s.loadBuckets(); err != nil {
		return err
	}
	s.compression.dictionaries.Retire()
	return nil
}

func (s *Store) loadLedger() (*record.Ledger, error) {
	value, closer, err := s.files.db.Get(record.LedgerKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return new(record.Ledger), nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return record.DecodeLedger(value)
}

func (s *Store) loadFlushAt() error {
	s.flushes.plan(session.Never)
	value, closer, err := s.files.db.Get(record.FlushKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if len(value) != 8 {
		return fmt.Errorf("%w: pending flush", record.ErrCorrupt)
	}
	s.flushes.plan(session.Time(binary.LittleEndian.Uint64(value)))
	return nil
}

// startClock starts the clock where the store had stopped, or now.
func (s *Store) startClock(stored *record.Ledger) {
	clock, jump := ttl.NewClock(s.options.TimeSource(), stored.Now)
	s.horizon.clock = clock
	if s.options.ExternalLog {
		s.horizon.see(stored.Now)
		return
	}
	s.horizon.see(clock.Now())
	if stored.Now > 0 {
		s.background.drops.judge(s, jump)
	}
}

// startVersions continues with versions that nobody has seen. Those of an
// external log follow from its positions.
func (s *Store) startVersions(stored *record.Ledger) error {
	if s.options.ExternalLog {
		s.replayed.load(stored)
		return s.need(followedLog)
	}
	stored.Version += versionGap
	return nil
}

// leaveLog forgets the place in the log that the store has followed up to now, and
// what its entries have noted: what it does from here on is in no log but its own.
func (s *Store) leaveLog(stored *record.Ledger) error {
	stored.Applied, stored.Base = record.Position{}, 0
	if s.options.ReadOnly {
		return nil
	}
	batch := s.files.db.NewBatch()
	err := batch.Set(record.LedgerKey, stored.Append(nil), nil)
	if err == nil {
		err = batch.DeleteRange(record.NoteStart, record.NoteEnd, nil)
	}
	if err == nil {
		err = batch.Commit(pebble.Sync)
	}
	return errors.Join(err, batch.Close())
}

// loadBuckets finds the buckets that hold anything: one seek each and space.
func (s *Store) loadBuckets() error {
	for _, space := range record.Bucketed() {
		if err := s.loadBucketsOf(space); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) loadBucketsOf(space *record.Space) (err error) {
	start, end := space.Bounds()
	iter, err := s.files.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok := iter.First(); ok; {
		bucket, valid := space.Bucket(iter.Key())
		if !valid {
			return fmt.Errorf("%w: key %q", record.ErrCorrupt, iter.Key())
		}
		s.memory.buckets.add(bucket)
		ok = iter.SeekGE(space.AppendBucketEnd(nil, bucket))
	}
	return iter.Error()
}

// start does what is due and begins the background work.
func (s *Store) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	s.background.stop = cancel
	s.files.disk.LookAtSpace()
	s.files.disk.TakeBallast()
	s.files.disk.WarnOfReserve()
	// Before anything else, and even if the clock stands still: otherwise the
	// next start could hand out the versions of this one again.
	if s.options.JustClosed && s.awaitsLog() {
		s.markSoon(s.Now())
	} else {
		s.mark(s.Now())
	}
	if !s.options.ExternalLog {
		s.advance(s.horizon.clock.Now())
	}
	if err := s.dropAtStart(ctx); err != nil {
		cancel()
		return err
	}
	if !s.awaitsLog() {
		s.tickets.neverWait()
	}
	s.work(ctx)
	return nil
}

// work begins what happens without a request.
func (s *Store) work(ctx context.Context) {
	if s.options.DropEvery > 0 {
		s.run(ctx, tickEvery, s.Tick)
	}
	if s.options.ReadOnly {
		return
	}
	if s.options.Durability.Interval > 0 {
		s.run(ctx, s.options.Durability.Interval, func(context.Context) { s.sync() })
	}
	if s.options.DropEvery > 0 {
		s.run(ctx, s.options.DropEvery, s.sweep)
		s.run(ctx, trainEvery, s.train)
		s.run(ctx, prepareEvery, s.prepareLogs)
	}
}

// dropAtStart drops what died while the store was closed, unless the disk is
// too full for the tables that must be written before: then the first sweep
// does it once there is space. Nobody sees what is in dead buckets.
func (s *Store) dropAtStart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := s.DropExpired(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.options.Logger.Warn("what had expired could not be dropped at the start; it stays on the disk for now")
		return nil
	}
	return err
}
