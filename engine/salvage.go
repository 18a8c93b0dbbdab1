package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/disk"
	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// SalvageOptions say what Salvage does.
type SalvageOptions struct {
	// From is the store to read. Dir is required; FS and Wall count, too.
	From Options

	// To is where the new store goes and Scratch where entries are sorted, both
	// on the file system of From. Neither may exist. Scratch needs as much space
	// as the sessions take, and is removed. Scratch is required; without To the
	// sessions are only counted.
	To, Scratch string

	// Uncertain copies sessions of which a newer change may have been lost, too.
	// They may be out of date, or deleted.
	Uncertain bool

	// Problem is told of each file that is damaged, and Lost of each session of
	// which a trace is left but that is not copied, once. Required.
	Problem func(problem string)
	Lost    func(key []byte, why string)
}

// Salvaged is what a salvage came to.
type Salvaged struct {
	Sessions int64 // that were copied
	Bytes    int64 // of their keys and values

	// Unreadable sessions left a trace but no value; of Uncertain ones a newer
	// change may be lost. With SalvageOptions.Uncertain they are copied.
	Unreadable, Uncertain int64

	// Missing is how many sessions were not copied, named ones too, by the store's
	// own count; -1: that cannot be read. Those about to expire do not count.
	Missing int64

	// Changes is how many changes are known to be missing in the logs.
	Changes uint64

	// Complete says that nothing was left out, as far as anybody can tell.
	// DeletedMayReturn says that the damage may have taken what tells that a
	// session was deleted or changed.
	Complete, DeletedMayReturn bool
}

// Salvage copies the sessions of a damaged store that can be read into a new one,
// with their values, flags, expiry, marks, owners and versions. The new store's
// versions go on above those of the old one. Nothing of the old one is changed, and
// it must not be open. If there is an error, or ctx is done, To is of no use; on a
// full disk, what writes to it may end only with the process.
func Salvage(ctx context.Context, o SalvageOptions) (Salvaged, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v := &salvage{options: o, ctx: ctx, cancel: cancel}
	type outcome struct {
		salvaged Salvaged
		err      error
	}
	ended := make(chan outcome, 1)
	go func() {
		err := v.run()
		ended <- outcome{v.result, err}
	}()
	select {
	case r := <-ended:
		if r.err != nil {
			return r.salvaged, fmt.Errorf("engine: salvage %s: %w", o.From.Dir, r.err)
		}
		return r.salvaged, nil
	case <-ctx.Done():
	}
	return Salvaged{}, fmt.Errorf("engine: salvage %s: %w", o.From.Dir, context.Cause(ctx))
}

// salvage reads the entries of a wreck into a scratch database, in which all that
// concerns a session stands together, newest first, and then decides session by
// session.
type salvage struct {
	options SalvageOptions
	ctx     context.Context
	cancel  context.CancelCauseFunc
	locked  bool                               // the caller has locked the store
	lost    func(key []byte, why, file string) // instead of options.Lost; nil: that
	result  Salvaged

	wreck   *disk.Wreck
	source  *Store // never opened: it decodes
	scratch *pebble.DB
	pending *pebble.Batch
	target  *Store // its files.db is open
	batch   *pebble.Batch
	uses    features

	meta    metaEntries
	buckets map[ttl.Bucket]bool
	version uint64 // the highest seen
	now     session.Time
	count   record.LedgerSum
}

func (v *salvage) run() (err error) {
	o := &v.options
	if err := o.From.complete(); err != nil {
		return err
	}
	unlock, err := v.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := v.format(); err != nil {
		return err
	}
	v.source = newStore(&o.From)
	v.buckets = make(map[ttl.Bucket]bool)
	v.wreck, err = disk.OpenWreck(o.From.FS, o.From.Dir, v.source.pebbleOptions(), o.Problem)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.wreck.Close()) }()
	if err := v.sort(); err != nil {
		return err
	}
	if err := v.copy(); err != nil {
		return err
	}
	v.sum()
	return nil
}

// lock makes sure that no process has the store open, without making a file. On a
// file system that nobody can write to there is none.
func (v *salvage) lock() (unlock func() error, err error) {
	o := &v.options.From
	path := o.FS.PathJoin(o.Dir, "LOCK")
	if _, err := o.FS.Stat(path); v.locked || errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	lock, err := lockDir(o)
	if errors.Is(err, syscall.EROFS) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	return lock.Close, nil
}

// format judges the format file. A damaged one is no obstacle: what a record is,
// its own first byte says.
func (v *salvage) format() error {
	o := &v.options.From
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return err
	}
	found := false
	for _, name := range names {
		if name == restoringDir {
			return ErrRestoring
		}
		found = found || strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-")
	}
	if !found {
		return errors.New("there is no store in it")
	}
	if _, err := readFormat(o.FS, o.Dir); err != nil {
		v.options.Problem(fmt.Sprintf("%s: %v", formatFile, err))
	}
	return nil
}

// scratchBatch is how many bytes are written at a time.
const scratchBatch = 1 << 20

// sort fills the scratch database.
func (v *salvage) sort() (err error) {
	v.scratch, err = pebble.Open(v.options.Scratch, v.plainOptions(&pebble.Options{DisableWAL: true}))
	if err != nil {
		return err
	}
	v.pending = v.scratch.NewBatch()
	err = v.wreck.Read(v.take)
	if err == nil {
		err = v.pending.Commit(pebble.NoSync)
	}
	return err
}

// plainOptions makes what is written fail where a store would wait for space.
func (v *salvage) plainOptions(o *pebble.Options) *pebble.Options {
	o.FS, o.Logger = v.options.From.FS, quiet{}
	o.FormatMajorVersion = pebble.FormatValueSeparation
	o.EventListener = &pebble.EventListener{BackgroundError: func(err error) { v.cancel(err) }}
	return o
}

// take puts an entry where it belongs.
func (v *salvage) take(e *disk.Entry) error {
	if err := v.ctx.Err(); err != nil {
		return context.Cause(v.ctx)
	}
	bucket, key, ok := record.SplitKey(e.Key)
	if !ok || !session.ValidKey(key) {
		v.meta.take(e)
		return nil
	}
	v.buckets[bucket] = true
	if err := v.pending.Set(appendScratchKey(nil, bucket, key, e), appendScratchValue(nil, e), nil); err != nil {
		return err
	}
	if v.pending.Len() < scratchBatch {
		return nil
	}
	err := v.pending.Commit(pebble.NoSync)
	v.pending = v.scratch.NewBatch()
	return err
}

// copy decides about every session.
func (v *salvage) copy() (err error) {
	defer func() {
		err = errors.Join(err, v.scratch.Close(), v.options.From.FS.RemoveAll(v.options.Scratch))
	}()
	if err := v.openTarget(); err != nil {
		return err
	}
	if v.target != nil {
		defer func() { err = errors.Join(err, v.target.files.release()) }()
	}
	iter, err := v.scratch.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok := iter.First(); ok; {
		if v.ctx.Err() != nil {
			return context.Cause(v.ctx)
		}
		trace := &trace{wreck: v.wreck}
		for ok && trace.add(iter.Key(), iter.Value()) {
			ok = iter.Next()
		}
		if err := v.decide(trace); err != nil {
			return err
		}
	}
	if err := iter.Error(); err != nil || v.target == nil {
		return err
	}
	return v.finish()
}

// openTarget makes the new store's database and knows what the old one said of
// itself.
func (v *salvage) openTarget() error {
	for _, d := range v.meta.dictionaries() {
		if err := v.source.compression.dictionaries.Learn(&d); err != nil {
			v.options.Problem(fmt.Sprintf("dictionary %d: %v", d.ID, err))
		}
	}
	stored := v.meta.ledger()
	clock, _ := ttl.NewClock(v.options.From.TimeSource(), stored.Now)
	v.now, v.version = clock.Now(), max(v.version, stored.Version)
	if v.options.To == "" {
		return nil
	}
	o := v.options.From
	o.Dir, o.SpareLogs = v.options.To, -1
	v.target = newStore(&o)
	v.target.files.disk.Hurry()
	for bucket := range v.buckets {
		v.target.memory.buckets.add(bucket) // for where tables end
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	v.target.files.blocks = newBlockCache(&o)
	options := v.plainOptions(v.target.pebbleOptions())
	options.DisableWAL = true
	db, err := pebble.Open(o.Dir, options)
	if err != nil {
		return err
	}
	v.target.files.db, v.batch = db, db.NewBatch()
	return nil
}

// decide copies a session, or says why not.
func (v *salvage) decide(t *trace) error {
	c, doubt := t.winner()
	if c == nil {
		if doubt != "" {
			v.lose(t.key, doubt, "")
		}
		return nil
	}
	stored, err := c.merged()
	if err != nil {
		v.lose(t.key, err.Error(), c.file())
		return nil
	}
	e, err := v.source.decode(t.key, stored, true)
	if e != nil {
		v.version = max(v.version, e.version)
	}
	switch {
	case err != nil && e.expiry != 0 && e.expiry <= v.now:
		return nil
	case err != nil:
		v.lose(t.key, err.Error(), c.file())
		return nil
	case e.version == 0: // patches without a record
		if _, file, _ := v.doubts(t, c); file != "" || len(v.wreck.Gaps) > 0 {
			v.lose(t.key, "its value is lost", file)
		}
		return nil
	}
	why, file, sure := v.doubts(t, c)
	if e.expiry <= v.now || c.bucket.Dead(v.now) {
		if sure {
			v.lose(t.key, why, file)
		}
		return nil
	}
	if why == "" {
		why = doubt
	}
	if why != "" {
		v.result.Uncertain++
		if !v.options.Uncertain {
			v.name(t.key, why, file)
			return nil
		}
	}
	return v.put(c.bucket, e, stored)
}

// lose counts a session that cannot be read, and names it.
func (v *salvage) lose(key []byte, why, file string) {
	v.result.Unreadable++
	v.name(key, why, file)
}

// name tells of a session that is not copied. The file is Problem.File.
func (v *salvage) name(key []byte, why, file string) {
	if v.lost != nil {
		v.lost(key, why, file)
	} else {
		v.options.Lost(key, why)
	}
}

// doubts says why what c holds may not be the newest of its session: part of a
// table, file, that cannot be read may hold newer. sure says that it does.
func (v *salvage) doubts(t *trace, c *bucketTrace) (why, file string, sure bool) {
	for _, h := range v.wreck.Holes {
		for bucket := range v.buckets {
			if bucket < c.bucket || bucket == c.bucket && !h.Outdates(c.oldest()) {
				continue
			}
			if bucket > c.bucket && (t.settled || bucket.Dead(v.now)) {
				continue
			}
			if may, filtered := h.MayHold(record.AppendKey(nil, bucket, t.key)); may {
				file, sure = h.Table(), sure || filtered
				why = fmt.Sprintf("table %s may hold a newer change: %v", file, h.Err)
			}
		}
	}
	return why, file, sure
}

// put writes a session into the new store.
func (v *salvage) put(bucket ttl.Bucket, e *entry, stored []byte) error {
	v.result.Sessions++
	v.result.Bytes += e.size()
	one := record.Ledger{Now: v.now}
	one.Count(ttl.Minute(e.expiry), 1, e.size())
	v.count.Add(&one)
	if v.target == nil {
		return nil
	}
	if err := v.batch.Set(record.AppendKey(nil, bucket, e.key), stored, nil); err != nil {
		return err
	}
	if len(e.ext) > 0 {
		v.uses |= extendedRecords
	}
	if owner := e.belongsTo(); len(owner) > 0 {
		v.uses |= ownerIndex
		index := make([]byte, record.OwnerKeyOverhead+len(owner)+len(e.key))
		record.PutOwnerKey(index, bucket, owner, e.key)
		if err := v.batch.Set(index, nil, nil); err != nil {
			return err
		}
	}
	if v.batch.Len() < scratchBatch {
		return nil
	}
	err := v.batch.Commit(pebble.NoSync)
	v.batch = v.target.files.db.NewBatch()
	return err
}

// finish writes what the new store knows of itself, and makes all of it durable.
func (v *salvage) finish() error {
	for _, d := range v.meta.dictionaries() {
		if err := v.batch.Set(record.DictionaryKey(d.ID), d.Append(nil), nil); err != nil {
			return err
		}
	}
	if at := v.meta.newest(record.FlushKey); len(at) == 8 {
		if err := v.batch.Set(record.FlushKey, at, nil); err != nil {
			return err
		}
	}
	v.count.Add(&record.Ledger{Now: v.now, Version: v.version + versionGap})
	ledger := v.count.Ledger()
	if err := v.batch.Set(record.LedgerKey, ledger.Append(nil), nil); err != nil {
		return err
	}
	if err := v.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	if err := v.target.files.flush(v.ctx); err != nil {
		return err
	}
	return putFirstFormat(v.options.From.FS, v.options.To, v.uses)
}

// sum says what it came to.
func (v *salvage) sum() {
	r, w := &v.result, v.wreck
	r.Changes, r.Missing = w.Lost, v.missing()
	r.DeletedMayReturn = !w.Known || len(w.Gaps) > 0 || v.options.Uncertain && r.Uncertain > 0
	r.Complete = r.Unreadable == 0 && (r.Uncertain == 0 || v.options.Uncertain) && len(w.Gaps) == 0 &&
		(r.Missing == 0 || r.Missing < 0 && len(w.Holes) == 0)
}

// missing compares what was copied with the old store's count.
func (v *salvage) missing() int64 {
	if len(v.wreck.Gaps) > 0 || !v.wreck.Exact {
		return -1
	}
	for _, h := range v.wreck.Holes {
		if may, _ := h.MayHold(record.LedgerKey); may {
			return -1
		}
	}
	return max(0, laterThan(v.meta.ledger(), v.now)-laterThan(v.count.Ledger(), v.now))
}

// laterThan is how many sessions of the ledger expire after the minute of now.
func laterThan(l *record.Ledger, now session.Time) (n int64) {
	for _, slot := range l.Slots {
		if slot.Minute > ttl.Minute(now) {
			n += slot.Items
		}
	}
	return n
}

// metaEntries are those of the store's own values, a few keys.
type metaEntries struct{ list map[string][]metaEntry }

type metaEntry struct {
	op    disk.Op
	seq   uint64
	value []byte
}

func (m *metaEntries) take(e *disk.Entry) {
	if !bytes.Equal(e.Key, record.LedgerKey) && !bytes.Equal(e.Key, record.FlushKey) &&
		(bytes.Compare(e.Key, record.DictionaryStart) < 0 || bytes.Compare(e.Key, record.DictionaryEnd) >= 0) {
		return
	}
	if m.list == nil {
		m.list = make(map[string][]metaEntry)
	}
	m.list[string(e.Key)] = append(m.list[string(e.Key)], metaEntry{e.Op, e.Seq, bytes.Clone(e.Value)})
}

// newest returns the value of a key that is only set; nil: there is none.
func (m *metaEntries) newest(key []byte) []byte {
	best := metaEntry{op: disk.Delete}
	for _, e := range m.list[string(key)] {
		if e.seq >= best.seq {
			best = e
		}
	}
	if best.op == disk.Delete {
		return nil
	}
	return best.value
}

// ledger merges what there is of the ledger.
func (m *metaEntries) ledger() *record.Ledger {
	var sum record.LedgerSum
	base := uint64(0)
	for _, e := range m.list[string(record.LedgerKey)] {
		if e.op == disk.Set {
			base = max(base, e.seq)
		}
	}
	for _, e := range m.list[string(record.LedgerKey)] {
		l, err := record.DecodeLedger(e.value)
		if err != nil || e.op == disk.Delete {
			continue
		}
		if e.seq < base {
			l.Slots = nil // replaced, but versions and time do not go back
		}
		sum.Add(l)
	}
	return sum.Ledger()
}

func (m *metaEntries) dictionaries() (list []record.Dictionary) {
	for key := range m.list {
		value := m.newest([]byte(key))
		if bytes.HasPrefix([]byte(key), record.DictionaryStart) && value != nil {
			if d, err := record.DecodeDictionary([]byte(key), value); err == nil {
				list = append(list, d)
			}
		}
	}
	return list
}
