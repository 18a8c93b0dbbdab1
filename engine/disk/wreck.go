package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"cairn/engine/disk/framing"
)

// Wreck reads a damaged data directory file by file, without Pebble's own idea of
// it and without changing anything: every entry of every table and log that can be
// read, and where something cannot.
type Wreck struct {
	// Holes, Gaps and Drops are complete when Read has returned.
	Holes []*Hole
	Gaps  []uint64 // a log lacks something before this sequence number
	Drops []Drop

	// Lost is how many operations the logs lack at least.
	Lost uint64

	// Known says that the manifest is whole, so that it is known which tables
	// belong to the store.
	Known bool

	// Exact says that no entry is met twice, besides.
	Exact bool

	fs      vfs.FS
	dir     string
	options *pebble.Options
	report  func(string)
	catalog *catalog
}

// Op is what an Entry does to its key.
type Op uint8

const (
	Set Op = iota
	Merge
	Delete
)

// Entry is what a table or a log says of a key. Its bytes are valid during the
// call.
type Entry struct {
	Key, Value []byte
	Op         Op
	Seq        uint64 // higher is newer
	Level      int    // of the table
	File       uint64 // the number of the table or log
}

// InLog reports whether the entry stands in a log.
func (e *Entry) InLog() bool { return e.Level == logLevel }

// FileName is the name of the table or log.
func (e *Entry) FileName() string {
	if e.InLog() {
		return fmt.Sprintf("%06d.log", e.File)
	}
	return fmt.Sprintf("%06d.sst", e.File)
}

// Drop deletes what is older than Seq in [Start, End).
type Drop struct {
	Start, End []byte
	Seq        uint64
}

// Hides reports whether the drop deletes a value of that key and age.
func (d *Drop) Hides(key []byte, seq uint64) bool {
	return seq < d.Seq && bytes.Compare(d.Start, key) <= 0 && bytes.Compare(key, d.End) < 0
}

// OpenWreck reads which files there are. Problems are reported then and by Read.
func OpenWreck(fs vfs.FS, dir string, o *pebble.Options, report func(problem string)) (*Wreck, error) {
	o = o.Clone()
	o.EnsureDefaults()
	w := &Wreck{fs: fs, dir: dir, options: o, report: report}
	var err error
	if w.catalog, err = readCatalog(fs, dir, report); err != nil {
		return nil, err
	}
	w.Known, w.Exact = w.catalog.known, w.catalog.known && !w.catalog.strays
	return w, nil
}

// Close closes what holes have open.
func (w *Wreck) Close() (err error) {
	for _, h := range w.Holes {
		err = errors.Join(err, h.close())
	}
	return err
}

// Read calls fn for each entry, in no order. An error of fn ends it.
func (w *Wreck) Read(fn func(e *Entry) error) error {
	if err := w.readLogs(fn); err != nil {
		return err
	}
	return w.ReadTables(fn)
}

// ReadTables is Read without the logs.
func (w *Wreck) ReadTables(fn func(e *Entry) error) error {
	for i := range w.catalog.tables {
		t := &tableReader{wreck: w, table: &w.catalog.tables[i], fn: fn}
		if err := t.read(); err != nil {
			return err
		}
	}
	return nil
}

// readLogs reads what is not in tables yet.
func (w *Wreck) readLogs(fn func(e *Entry) error) error {
	l := &logReader{wreck: w, fn: fn}
	dirs, err := LogDirs(w.fs, w.dir)
	if err != nil {
		w.report(err.Error())
		w.Gaps = append(w.Gaps, math.MaxUint64) // what cannot be read may be the newest
		dirs = []wal.Dir{{FS: w.fs, Dirname: w.dir}}
	}
	logs, err := wal.Scan(dirs...)
	if err != nil {
		return err
	}
	for i, log := range logs {
		if uint64(log.Num) < w.catalog.minLog {
			continue
		}
		for segment := range log.NumSegments() {
			fs, path := log.SegmentLocation(segment)
			if err := l.read(fs, path, uint64(log.Num), i == len(logs)-1); err != nil {
				return err
			}
		}
	}
	if l.lost {
		w.Gaps = append(w.Gaps, math.MaxUint64)
	}
	return nil
}

// logReader reads logs, oldest first.
type logReader struct {
	wreck *Wreck
	fn    func(*Entry) error
	lost  bool   // something before the next batch
	next  uint64 // the sequence number behind the last batch; 0: there was none
	ended string // the log before, until there is a batch; "": none
	torn  bool   // its end is not orderly
}

func (l *logReader) read(fs vfs.FS, path string, number uint64, last bool) error {
	f, err := fs.Open(path)
	if err != nil {
		l.wreck.report(fmt.Sprintf("%s: %v", base(path), err))
		l.lost = true
		return nil
	}
	defer f.Close()
	var failed error
	state, err := framing.LogRecords(f, number, func(record []byte, lost bool) error {
		l.lost = l.lost || lost
		failed = l.batch(record, number)
		return failed
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		l.wreck.report(fmt.Sprintf("%s: %v", base(path), err))
		l.lost = true
	case state == framing.Damaged:
		l.wreck.report(base(path) + ": damaged")
	}
	if l.torn = state == framing.Torn; !last {
		l.ended = base(path)
	}
	return nil
}

// dropsTake is how many sequence numbers may be between two logs although nothing
// is missing: to drop buckets takes some.
const dropsTake = 2

// between judges whether the log before lacks its end: a crash may have kept only
// its mark from being written.
func (l *logReader) between(seq uint64) {
	if missing := int64(seq - l.next); l.ended != "" && l.next != 0 && (missing > dropsTake || l.torn && missing > 0) {
		l.wreck.report(l.ended + ": its end is missing")
		l.lost = true
	}
	l.ended, l.torn = "", false
}

// batch reads a record of the log.
func (l *logReader) batch(record []byte, number uint64) error {
	header, ok := batchrepr.ReadHeader(record)
	if !ok {
		l.lost = true
		return nil
	}
	seq := uint64(header.SeqNum)
	l.between(seq)
	if l.lost {
		l.wreck.Gaps = append(l.wreck.Gaps, seq)
		if l.next != 0 && seq > l.next {
			l.wreck.Lost += seq - l.next
		}
		l.lost = false
	}
	l.next = seq + uint64(header.Count)
	r := batchrepr.Read(record)
	for {
		kind, key, value, more, err := r.Next()
		if err != nil {
			l.lost = true
			return nil
		}
		if !more {
			return nil
		}
		e := Entry{Key: key, Value: value, Seq: seq, Level: logLevel, File: number}
		if kind != pebble.InternalKeyKindLogData {
			seq++
		}
		if kind == pebble.InternalKeyKindRangeDelete {
			l.wreck.Drops = append(l.wreck.Drops, Drop{bytes.Clone(key), bytes.Clone(value), e.Seq})
		}
		if e.Op, ok = opOf(kind); ok {
			if err := l.fn(&e); err != nil {
				return err
			}
		}
	}
}

// opOf returns what a kind of key does to one key; ok is false if it does nothing
// to a single key.
func opOf(kind pebble.InternalKeyKind) (op Op, ok bool) {
	switch kind {
	case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
		return Set, true
	case pebble.InternalKeyKindMerge:
		return Merge, true
	case pebble.InternalKeyKindDelete, pebble.InternalKeyKindSingleDelete, pebble.InternalKeyKindDeleteSized:
		return Delete, true
	}
	return 0, false
}

// tableReader reads what it can of a table.
type tableReader struct {
	wreck  *Wreck
	table  *table
	fn     func(*Entry) error
	reader *sstable.Reader
	failed error // of fn
}

func (t *tableReader) read() error {
	r, err := readTable(t.wreck.fs, t.wreck.fs.PathJoin(t.wreck.dir, t.table.name()), t.wreck.options)
	if err != nil {
		t.hole(nil, nil, err)
		return nil
	}
	t.reader = r
	t.drops()
	t.points()
	if err := r.Close(); err != nil && t.failed == nil {
		t.wreck.report(fmt.Sprintf("table %s: %v", t.table.name(), err))
	}
	return t.failed
}

// readTable returns a reader of the table at path, to be closed.
func readTable(fs vfs.FS, path string, o *pebble.Options) (*sstable.Reader, error) {
	f, err := openTable(fs, path)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions())
	if err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	return r, nil
}

// hole notes that nothing between two keys, both inclusive, can be read; nil: the
// table's bounds.
func (t *tableReader) hole(start, end []byte, err error) *Hole {
	h := &Hole{Err: err, wreck: t.wreck, table: t.table, start: start, end: end}
	if t.table.stray {
		return h // nothing depends on it
	}
	if start == nil {
		h.start = t.table.smallest
	}
	if last := t.table.largest; last != nil && (end == nil || bytes.Compare(last, end) < 0) {
		h.end = last // the last block's own bound is above it
	}
	if known := len(t.wreck.Holes); known == 0 || t.wreck.Holes[known-1].table != t.table {
		t.wreck.report(fmt.Sprintf("table %s: %v", t.table.name(), err))
	}
	t.wreck.Holes = append(t.wreck.Holes, h)
	return h
}

// drops reads the range deletions.
func (t *tableReader) drops() {
	iter, err := t.reader.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil {
		t.hole(nil, nil, err).own = true
		return
	}
	if iter == nil {
		return
	}
	defer iter.Close()
	span, err := iter.First()
	for ; span != nil && err == nil; span, err = iter.Next() {
		for _, key := range span.Keys {
			t.wreck.Drops = append(t.wreck.Drops, Drop{bytes.Clone(span.Start), bytes.Clone(span.End), uint64(key.SeqNum())})
		}
	}
	if err != nil {
		t.hole(nil, nil, err).own = true
	}
}

// points reads the entries.
func (t *tableReader) points() {
	blocks, err := t.blocks()
	if err != nil {
		t.edges()
		return
	}
	var from, behind []byte // the keys between which all is readable: (from, behind]
	for _, b := range blocks {
		if b.err == nil {
			behind = b.last
			continue
		}
		if behind != nil {
			t.run(from, behind)
		}
		t.hole(firstOf(behind, from), b.last, b.err)
		from, behind = b.last, nil
	}
	if behind != nil && t.failed == nil {
		t.run(from, nil)
	}
}

// firstOf returns the first that is not nil.
func firstOf(a, b []byte) []byte {
	if a != nil {
		return a
	}
	return b
}

// dataBlock is a block of entries. Its keys are at most last, and above those of
// the block before.
type dataBlock struct {
	last []byte
	err  error // of reading it
}

// blocks looks at every block of entries. The error says that their index cannot
// be read.
func (t *tableReader) blocks() (blocks []dataBlock, err error) {
	layout, err := t.reader.Layout()
	if err != nil {
		return nil, err
	}
	if !layout.Format.BlockColumnar() {
		return nil, errors.New("rows")
	}
	for _, index := range layout.Index {
		if blocks, err = t.indexed(blocks, index); err != nil {
			return nil, err
		}
	}
	return blocks, nil
}

func (t *tableReader) indexed(blocks []dataBlock, index block.Handle) ([]dataBlock, error) {
	ctx := context.Background()
	buffer, err := t.reader.ReadValueBlockExternal(ctx, index)
	if err != nil {
		return nil, err
	}
	defer buffer.Release()
	var iter colblk.IndexIter
	if err := iter.Init(t.reader.Comparer, buffer.BlockData(), sstable.NoTransforms); err != nil {
		return nil, err
	}
	for ok := iter.First(); ok; ok = iter.Next() {
		handle, err := iter.BlockHandleWithProperties()
		if err != nil {
			return nil, err
		}
		b := dataBlock{last: bytes.Clone(iter.Separator())}
		data, err := t.reader.ReadValueBlockExternal(ctx, handle.Handle)
		if b.err = err; err == nil {
			data.Release()
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// run reads what stands in (from, to]; nil: from the start, to the end. What turns
// out not to be readable is a hole.
func (t *tableReader) run(from, to []byte) {
	lower, upper := t.table.smallest, []byte(nil)
	if from != nil && bytes.Compare(from, lower) >= 0 {
		lower = append(bytes.Clone(from), 0)
	}
	if to != nil {
		upper = append(bytes.Clone(to), 0)
	}
	iter, err := t.reader.NewIter(sstable.NoTransforms, lower, upper, sstable.AssertNoBlobHandles)
	if err != nil {
		t.hole(from, to, err)
		return
	}
	defer iter.Close()
	last := from
	for kv := iter.SeekGE(lower, 0); kv != nil && t.failed == nil; kv = iter.Next() {
		last = append([]byte(nil), kv.K.UserKey...)
		t.entry(kv.K, kv.Value)
	}
	if err := iter.Error(); err != nil {
		t.hole(last, to, err)
	}
}

// edges reads a table whose index is damaged from both ends to where it is.
func (t *tableReader) edges() {
	iter, err := t.reader.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		t.hole(nil, nil, err)
		return
	}
	defer iter.Close()
	var first, last []byte
	for kv := iter.First(); kv != nil && t.failed == nil; kv = iter.Next() {
		first = append([]byte(nil), kv.K.UserKey...)
		t.entry(kv.K, kv.Value)
	}
	err = iter.Error()
	if err == nil {
		return
	}
	for kv := iter.Last(); kv != nil && t.failed == nil; kv = iter.Prev() {
		last = append([]byte(nil), kv.K.UserKey...)
		t.entry(kv.K, kv.Value)
	}
	t.hole(first, last, err)
}

// entry hands one on, if it is in the table's bounds.
func (t *tableReader) entry(k pebble.InternalKey, read func([]byte) ([]byte, bool, error)) {
	key := k.UserKey
	if t.table.smallest != nil && (bytes.Compare(key, t.table.smallest) < 0 || bytes.Compare(key, t.table.largest) > 0) {
		return
	}
	op, ok := opOf(k.Kind())
	if !ok {
		return
	}
	value, _, err := read(nil)
	if err != nil {
		t.hole(bytes.Clone(key), bytes.Clone(key), err)
		return
	}
	t.failed = t.fn(&Entry{
		Key: key, Value: value, Op: op, Seq: uint64(k.SeqNum()),
		Level: t.table.level, File: t.table.file,
	})
}

// Hole is a range of keys of which a table cannot be read.
type Hole struct {
	Err error

	wreck      *Wreck
	table      *table
	start, end []byte // inclusive; nil: unknown
	own        bool   // what can be read of the table is in doubt, too

	asked  bool
	reader *sstable.Reader // nil: the table has nothing that can be read
	iter   sstable.Iterator
}

// Table is the name of the table's file.
func (h *Hole) Table() string { return h.table.name() }

// Bounds returns the first and the last key that may be missing; nil: unknown.
func (h *Hole) Bounds() (start, end []byte) { return h.start, h.end }

// Outdates reports whether what the hole held may be newer than e.
func (h *Hole) Outdates(e *Entry) bool {
	switch mine := h.table.level; {
	case e.InLog():
		return false
	case e.File == h.table.file:
		return h.own
	case mine == unknownLevel || e.Level == unknownLevel:
		return true
	case mine == 0 && e.Level == 0:
		return e.Seq < h.table.highest
	default:
		return mine < e.Level
	}
}

// MayHold reports whether the hole may have an entry of key. sure says that the
// table's filter says so, which is right but for one key in a hundred.
func (h *Hole) MayHold(key []byte) (may, sure bool) {
	if h.start != nil && bytes.Compare(key, h.start) < 0 || h.end != nil && bytes.Compare(key, h.end) > 0 {
		return false, false
	}
	if h.own {
		return true, false
	}
	if !h.asked {
		h.asked = true
		h.open()
	}
	if h.iter == nil {
		return true, false
	}
	if kv := h.iter.SeekPrefixGE(key, key, 0); kv != nil || h.iter.Error() == nil {
		return false, false // what can be read of a table is newer than the rest
	}
	return true, true
}

// maxOpenHoles is for how many holes a table is kept open.
const maxOpenHoles = 256

func (h *Hole) open() {
	if len(h.wreck.Holes) > maxOpenHoles {
		return
	}
	r, err := readTable(h.wreck.fs, h.wreck.fs.PathJoin(h.wreck.dir, h.table.name()), h.wreck.options)
	if err != nil {
		return
	}
	h.reader = r
	if iter, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles); err == nil {
		h.iter = iter
	}
}

func (h *Hole) close() (err error) {
	if h.iter != nil {
		_ = h.iter.Close() // with the error that it met last
	}
	if h.reader != nil {
		err = h.reader.Close()
	}
	return err
}
