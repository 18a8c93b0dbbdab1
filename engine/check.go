package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/disk"
	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// Check verifies a store that no process has open: the checksum of every block
// of every file in use, the order of its tables, every record, and whether the
// counts are right. It calls report for each problem and changes nothing. The
// error says why the check could not be carried through.
func Check(o Options, report func(problem string)) (err error) {
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
	report  func(problem string)
	store   *Store
}

func (c *check) run() (err error) {
	o := &c.options
	found, err := readFormat(o.FS, o.Dir)
	if err != nil {
		return err
	}
	s := newStore(o)
	s.files.features.bits.Store(uint32(found))
	if s.files.lock, err = lockDir(o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.files.release()) }()
	if err := disk.Inspect(o.FS, o.Dir); err != nil {
		report(c.report, "%v", err)
	}
	c.logs()
	s.files.blocks = newBlockCache(o)
	options := s.pebbleOptions()
	options.ReadOnly = true
	options.Logger = quiet{}
	options.EventListener.DataCorruption = func(pebble.DataCorruptionInfo) {} // found again below
	if s.files.db, err = pebble.Open(o.Dir, options); err != nil {
		report(c.report, "the store does not open: %v", err)
		s.files.db = nil
		return nil
	}
	c.store = s
	c.tables(options)
	if err := s.files.db.CheckLevels(nil); err != nil {
		report(c.report, "the order of the tables is broken: %v", err)
	}
	c.spaces()
	c.records()
	return nil
}

func report(to func(string), format string, args ...any) { to(fmt.Sprintf(format, args...)) }

// quiet is a pebble.Logger for a store whose problems are reported one by one.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

// Fatalf does not end the process: a check should come to its end.
func (quiet) Fatalf(string, ...any) {}

// logs reads every record of every log.
func (c *check) logs() {
	err := disk.VerifyLogs(c.options.FS, c.options.Dir, func(log string, err error) {
		report(c.report, "log %s: %v", log, err)
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
					report(c.report, "table %s: %v", name, err)
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
	m, err := s.newMerged(nil, nil)
	defer func() {
		if err := m.close(); err != nil {
			report(c.report, "read: %v", err)
		}
	}()
	if err != nil {
		report(c.report, "read: %v", err)
		return
	}
	for cur := m.least(); cur != nil; cur = m.least() {
		c.record(m, cur, ledger, count)
		m.skip(cur.key)
	}
	if err := m.err(); err != nil {
		report(c.report, "read: %v", err)
		return // what was counted is not all
	}
	if !bytes.Equal(slotsOf(ledger), slotsOf(count)) {
		report(c.report, "the ledger does not count what is there")
	}
}

// record checks the newest record of one key.
func (c *check) record(m *merged, cur *cursor, ledger, count *record.Ledger) {
	key := slices.Clone(cur.key)
	if !session.ValidKey(key) {
		report(c.report, "bucket %d: malformed key %q", cur.bucket, key)
		return
	}
	e, err := m.entry(cur)
	if err == nil && len(e.ext) > 0 && c.store.files.features.load()&extendedRecords == 0 {
		report(c.report, "key %q has an extended record, of which %s knows nothing", key, formatFile)
	}
	switch {
	case err != nil:
		report(c.report, "key %q: %v", key, err)
	case e.expiry >= cur.bucket.Deadline() && cur.bucket != ttl.Forever:
		report(c.report, "key %q expires after its bucket's deadline", key)
	case e.version != 0:
		count.Count(ttl.Minute(e.expiry), 1, e.size())
	}
}

func slotsOf(l *record.Ledger) []byte {
	slots := record.Ledger{Now: l.Now, Slots: l.Slots}
	return slots.Append(nil)
}
