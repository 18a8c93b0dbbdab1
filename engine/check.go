package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/disk"
	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// Problem is something that a check finds.
type Problem struct {
	Text string // all of it, in a line

	// File is the name of the file in the data directory that is damaged, "" if
	// no single one is known.
	File string

	// Key is that of a session at risk, and Why says why it is. A problem that is
	// not about a session has none.
	Key []byte
	Why string

	// Lost is how many sessions are lost whose keys are not known.
	Lost int64
}

func (p Problem) String() string { return p.Text }

// Check verifies a store that no process has open: the checksum of every block
// of every file in use, the order of its tables, every record, and whether the
// counts are right. It calls report for each problem and changes nothing. The
// error says why the check could not be carried through.
func Check(o Options, report func(Problem)) (err error) {
	o.LogFailoverDir = ""
	if err := o.complete(); err != nil {
		return err
	}
	c := &check{options: o, report: report}
	if err := c.run(); err != nil {
		return fmt.Errorf("engine: check %s: %w", o.Dir, err)
	}
	return nil
}

type check struct {
	options Options
	report  func(Problem)
	store   *Store
	damaged bool            // a file is
	named   map[string]bool // sessions that were reported, at most mostNamed
}

// mostNamed is how many sessions a check remembers, to name each once.
const mostNamed = 100_000

// name reports a session, unless it has before. The file is Problem.File.
func (c *check) name(key []byte, why, file string) {
	if c.named[string(key)] {
		return
	}
	if c.named == nil {
		c.named = make(map[string]bool)
	}
	if len(c.named) < mostNamed {
		c.named[string(key)] = true
	}
	c.report(Problem{Text: fmt.Sprintf("session %q is at risk: %s", key, why), File: file, Key: bytes.Clone(key), Why: why})
}

func (c *check) run() (err error) {
	o := &c.options
	found, err := readFormat(o.FS, o.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("it has no store: %w", err)
	case err != nil:
		return err
	}
	s := newStore(o)
	s.files.features.bits.Store(uint32(found))
	if s.files.lock, err = lockDir(o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.files.release()) }()
	if err := disk.Inspect(o.FS, o.Dir); err != nil {
		c.report(Problem{Text: err.Error(), File: disk.DamagedFile(err)})
		c.damaged = true
	}
	c.logs()
	_ = s.files.disk.FindLogs() // reported
	s.files.blocks = newBlockCache(o)
	options := s.pebbleOptions()
	options.ReadOnly = true
	options.Logger = quiet{}
	options.EventListener.DataCorruption = func(pebble.DataCorruptionInfo) {} // found again below
	if s.files.db, err = pebble.Open(o.Dir, options); err != nil {
		report(c.report, "the store does not open: %v", err)
		s.files.db = nil
		return c.atRisk()
	}
	c.store = s
	c.tables(options)
	if err := s.files.db.CheckLevels(nil); err != nil {
		report(c.report, "the order of the tables is broken: %v", err)
	}
	c.spaces()
	c.records()
	c.owners()
	if c.damaged {
		return c.atRisk()
	}
	return nil
}

// atRisk names the sessions that damaged files put at risk, and counts those whose
// keys are lost. It does what a salvage would, and needs as much space for
// temporary files as the sessions take.
func (c *check) atRisk() (err error) {
	scratch := "cairn-check" // of a file system in memory
	if c.options.watchDisk {
		dir, err := os.MkdirTemp("", "cairn-check-")
		if err != nil {
			report(c.report, "the sessions at risk cannot be named: %v", err)
			return nil
		}
		defer func() { _ = os.RemoveAll(dir) }()
		scratch = filepath.Join(dir, "sorting")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	v := &salvage{ctx: ctx, cancel: cancel, locked: true, options: SalvageOptions{
		From: c.options, Scratch: scratch,
		Problem: func(string) {}, // reported before
	}, lost: c.name}
	if err := v.run(); err != nil {
		report(c.report, "the sessions at risk cannot be named: %v", err)
		return nil
	}
	if unnamed := v.result.Missing - v.result.Unreadable - v.result.Uncertain; unnamed > 0 {
		c.report(Problem{Text: fmt.Sprintf("%d more sessions are lost, with their keys", unnamed), Lost: unnamed})
	}
	return nil
}

// report reports what is about neither a file nor a session.
func report(to func(Problem), format string, args ...any) {
	to(Problem{Text: fmt.Sprintf(format, args...)})
}

// quiet is a pebble.Logger for a store whose problems are reported one by one.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

// Fatalf does not end the process: a check should come to its end.
func (quiet) Fatalf(string, ...any) {}

// logs reads every record of every log.
func (c *check) logs() {
	err := disk.VerifyLogs(c.options.FS, c.options.Dir, func(log string, err error) {
		c.report(Problem{Text: fmt.Sprintf("log %s: %v", log, err), File: log + ".log"})
		c.damaged = true
	})
	if err != nil {
		report(c.report, "the logs cannot be listed: %v", err)
	}
}

// tables verifies the checksums of all blocks of the tables in use.
func (c *check) tables(o *pebble.Options) {
	levels, err := c.store.files.db.SSTables()
	if err != nil {
		report(c.report, "the tables cannot be listed: %v", err)
		return
	}
	seen := make(map[string]bool)
	for _, level := range levels {
		for i := range level {
			name := level[i].BackingSSTNum.String() + ".sst"
			if !seen[name] {
				seen[name] = true
				if err := disk.VerifyTable(c.options.FS, c.options.FS.PathJoin(c.options.Dir, name), o); err != nil {
					c.report(Problem{Text: fmt.Sprintf("table %s: %v", name, err), File: name})
					c.damaged = true
				}
			}
		}
	}
}

// spaces looks for keys that are in no space.
func (c *check) spaces() {
	iter, err := c.store.files.db.NewIter(nil)
	if err != nil {
		report(c.report, "read: %v", err)
		return
	}
	for ok := iter.First(); ok; {
		key := bytes.Clone(iter.Key())
		if record.SpaceOf(key) == nil {
			report(c.report, "a key of no kind that is known: %q", key)
		}
		if len(key) == 0 || key[0] == 0xFF {
			break
		}
		ok = iter.SeekGE([]byte{key[0] + 1})
	}
	if err := iter.Close(); err != nil {
		report(c.report, "read: %v", err)
	}
}

// records decodes every record and recounts the ledger.
func (c *check) records() {
	s := c.store
	ledger, err := s.loadLedger()
	if err != nil {
		report(c.report, "the ledger: %v", err)
		return
	}
	if err := s.loadFlushAt(); err != nil {
		report(c.report, "the pending flush: %v", err)
	}
	if err := s.loadDictionaries(); err != nil {
		report(c.report, "the dictionaries: %v", err)
		return
	}
	if err := s.loadBuckets(); err != nil {
		report(c.report, "the buckets: %v", err)
		return
	}
	count := &record.Ledger{Now: ledger.Now}
	s.horizon.see(ledger.Now)
	if !c.walk(records, func(m *merged, cur *cursor) { c.record(m, cur, ledger, count) }) {
		return // what was counted is not all
	}
	if !bytes.Equal(slotsOf(ledger), slotsOf(count)) {
		report(c.report, "the ledger does not count what is there")
	}
}

// walk calls f for the newest of each key of a space, and reports whether all could be
// read.
func (c *check) walk(space *record.Space, f func(m *merged, cur *cursor)) (whole bool) {
	m, err := c.store.newMerged(space, nil, nil)
	defer func() {
		if err := m.close(); err != nil {
			report(c.report, "read: %v", err)
		}
	}()
	if err != nil {
		report(c.report, "read: %v", err)
		return false
	}
	for cur := m.least(); cur != nil; cur = m.least() {
		f(m, cur)
		m.skip(cur.key)
	}
	if err := m.err(); err != nil {
		report(c.report, "read: %v", err)
		return false
	}
	return true
}

// record checks the newest record of one key.
func (c *check) record(m *merged, cur *cursor, ledger, count *record.Ledger) {
	key := slices.Clone(cur.key)
	if !session.ValidKey(key) {
		report(c.report, "bucket %d: malformed key %q", cur.bucket, key)
		return
	}
	e, err := m.entry(cur)
	if err == nil && len(e.ext) > 0 {
		c.extended(e, cur.bucket)
	}
	switch {
	case err != nil:
		c.name(key, err.Error(), "")
	case e.expiry >= cur.bucket.Deadline() && cur.bucket != ttl.Forever:
		report(c.report, "key %q expires after its bucket's deadline", key)
	case e.version != 0:
		count.Count(ttl.Minute(e.expiry), 1, e.size())
	}
}

// extended checks what belongs to a record with an extension, in its bucket.
func (c *check) extended(e *entry, bucket ttl.Bucket) {
	known, owner := c.store.files.features.load(), e.belongsTo()
	switch {
	case known&extendedRecords == 0:
		report(c.report, "key %q has an extended record, of which %s knows nothing", e.key, formatFile)
	case len(owner) == 0:
	case known&ownerIndex == 0:
		// Written before there was an index, by a build that no setting let ask for
		// an owner.
	default:
		switch found, err := c.store.indexed(e, bucket); {
		case err != nil:
			report(c.report, "the entry of key %q in the index of owners: %v", e.key, err)
		case !found:
			report(c.report, "key %q is missing in the index of owners", e.key)
		}
	}
}

// owners looks for entries of the owner index that are malformed. Those without a
// record are as they should be.
func (c *check) owners() {
	known := c.store.files.features.load()
	unknown := known&ownerIndex == 0 && known&extendedRecords != 0
	c.walk(record.Owners, func(_ *merged, cur *cursor) {
		if unknown {
			report(c.report, "there is an index of owners, of which %s knows nothing", formatFile)
			unknown = false // once is enough
		}
		if _, _, ok := record.SplitOwner(cur.key); !ok {
			report(c.report, "bucket %d: malformed entry %q in the index of owners", cur.bucket, cur.key)
		}
	})
}

func slotsOf(l *record.Ledger) []byte {
	slots := record.Ledger{Now: l.Now, Slots: l.Slots}
	return slots.Append(nil)
}
