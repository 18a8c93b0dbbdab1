package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// burst is one or more session.Bursts being applied as one: the state of their
// keys as their commands see them, and where that state comes from. Commands
// change only slots; what the slots amount to is written as one batch at the end
// (see write.go).
type burst struct {
	store    *Store
	requests []*request

	at        Position           // of the log's entry that the burst is; Index 0: none
	first     uint64             // version of the first command of all requests
	number    int                // of the command that runs, over all requests
	admission *session.Admission // of the request that runs
	frame     *session.Frame     // of the command that runs; nil: none
	fault     error              // why the entry cannot be applied; see noteFault
	adopted   *record.Dictionary // by a command of this burst; nil: none
	notes     func() []Note      // what the log's entry leaves beside sessions; nil: nothing

	cold    []*request // those that have left, to be fetched for
	places  []int32    // the slot of each command of requests; -1: none
	hint    int        // the slot of the command that runs; -1: unknown
	running int32      // the number of the request that runs, from 1 on
	now     session.Time
	epoch   uint32   // of the cache, when the burst began
	stripes []uint32 // locked; empty for a burst of reads

	slots   []slot
	bySlot  map[string]int // slots by key, once there are many
	order   []int32        // see changed
	flushed bool           // a flush of this burst has emptied the store
	flushAt session.Time   // the pending flush as this burst leaves it; 0: untouched

	// The disk as the burst sees it; see look.
	iter     *pebble.Iterator
	live     []ttl.Bucket
	snapshot uint64 // iter shows all batches up to this ticket

	ticket   uint64    // the highest batch whose effects the results show
	unsynced bool      // nobody will wait for the batch of this burst
	begun    time.Time // when the log got the batch

	keyBuf []byte
	body   []byte // for compressed values
	doomed []ttl.Bucket

	// observed says that somebody is to be told of events: what the commands have
	// done so far.
	observed bool
	events   []session.Event

	stored, flushes int64 // for the store's counters
	identical       int64 // of stored: put with the value that was there
	hits, misses    int64 // of gets, for those of the cache

	frozen bool // nothing may be written

	// reading says that nothing but plain gets may run, without locks, and
	// fetching that slots are only filled, without locks.
	reading, fetching bool

	brought  int64 // bytes that the burst has read from the disk
	admitted bool  // ... of which there may be any number; see room.go
}

// slot is one key of a burst.
type slot struct {
	key    []byte // the command's
	stripe uint32

	before *entry // as the burst found it, or as the flush in it left it
	after  *entry // after the commands so far; before if they changed nothing
	err    error  // before could not be read, or is damaged
	fault  error  // err as the burst found it

	cold    bool // before was read from the disk
	counted bool // a get has counted that
	lacking bool // see markLacking

	copies []ttl.Bucket // where copies stand, all of them
	deep   bool         // copies is known
}

// damaged reports whether the key's newest copy stands where before says, but
// cannot be decoded. What does not depend on it may take its place.
func (s *slot) damaged() bool { return s.err != nil && s.before != nil }

// errUnlocked stops a burst of reads that needs the locks of its keys: to claim
// a stale item, which is a write, or to say that an item has expired. Without
// them, a burst that was admitted earlier could still be about to prolong it.
var errUnlocked = errors.New("engine: read needs locks")

// manySlots is the number of keys from which on a map beats a search.
const manySlots = 16

// slot returns the slot of a key with its state. A large value may be missing in
// that unless it is asked for.
func (b *burst) slot(key []byte, withValue bool) *slot {
	if i := b.find(key); i >= 0 {
		s := &b.slots[i]
		if withValue && s.err == nil {
			s.err = b.readValue(s)
		}
		return s
	}
	s := &b.slots[b.addSlot(slot{key: key, stripe: stripeOf(key)})]
	s.before, s.err = b.load(s, withValue)
	s.after = s.before
	return s
}

// addSlot adds a slot and returns its number.
func (b *burst) addSlot(s slot) int {
	b.slots = append(b.slots, s)
	if len(b.slots) > manySlots {
		b.index()
	}
	return len(b.slots) - 1
}

func (b *burst) find(key []byte) int {
	if i := b.hint; i >= 0 && string(b.slots[i].key) == string(key) {
		return i
	}
	if len(b.slots) <= manySlots {
		for i := range b.slots {
			if string(b.slots[i].key) == string(key) {
				return i
			}
		}
		return -1
	}
	if i, ok := b.bySlot[string(key)]; ok {
		return i
	}
	return -1
}

// index brings bySlot up to date.
func (b *burst) index() {
	if b.bySlot == nil {
		b.bySlot = make(map[string]int)
	}
	for i := len(b.bySlot); i < len(b.slots); i++ {
		b.bySlot[borrow(b.slots[i].key)] = i
	}
}

// load finds the state of a key, in the cache or on disk, for a burst that has no
// locks. What it finds for a burst that fetches is to be checked under locks.
func (b *burst) load(s *slot, withValue bool) (*entry, error) {
	e := new(entry)
	if b.store.memory.hot.get(e, s.key, b.epoch) {
		b.ticket = max(b.ticket, e.ticket)
		return e, nil
	}
	e, err := b.locate(s.key, withValue)
	s.cold = true
	if err != nil || b.fetching {
		return e, err
	}
	return b.confirm(s, e)
}

// confirm makes sure that the burst, which reads, may show e, which it has read
// from the disk for s, and shares e in the cache if no batch has touched the
// stripe since.
func (b *burst) confirm(s *slot, e *entry) (*entry, error) {
	stripe := b.store.memory.stripes.of(s.stripe)
	if !stripe.mu.TryLock() {
		return nil, errUnlocked // what was read may be a writer's doing who is at it
	}
	defer stripe.mu.Unlock()
	latest := stripe.ticket.Load()
	switch {
	case b.store.doors.flushing.Load(), b.store.flushes.epoch.Load() != b.epoch:
		return nil, errUnlocked // what was read may be the doing of a flush
	case latest > b.snapshot && !e.live(b.now):
		return nil, errUnlocked // a writer may have prolonged it in time
	}
	e.ticket = max(latest, b.store.flushes.ticket.Load())
	b.ticket = max(b.ticket, e.ticket)
	if latest <= b.snapshot {
		b.store.memory.hot.put(e)
	}
	return e, nil
}

// look opens the burst's view of the disk, if it is not open yet.
func (b *burst) look() (err error) {
	if b.iter != nil {
		return nil
	}
	b.snapshot = b.store.tickets.applied.Load()
	b.iter, err = b.store.files.db.NewIter(&pebble.IterOptions{
		LowerBound: record.DataStart,
		UpperBound: record.DataEnd,
		// Without this, tables of the bottom level are searched even if their
		// filters say that the key is not there.
		UseL6Filters: true,
	})
	// After the iterator was made: writers name a bucket before they write into
	// it, so these are all buckets that the iterator shows.
	b.live = b.store.memory.buckets.live(b.bucketsAsOf())
	return b.store.readError(err)
}

// locate finds the newest copy of a key on disk. If there is an error, the entry
// is nil, or what is known of a copy that cannot be decoded.
func (b *burst) locate(key []byte, withValue bool) (*entry, error) {
	if err := b.look(); err != nil {
		return nil, err
	}
	for i, bucket := range b.live {
		value, found, err := b.probe(bucket, key)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if withValue && !b.admits(len(value)) {
			return nil, errNoRoom
		}
		e, err := b.store.decode(key, value, withValue)
		e.bucket, e.epoch = bucket, b.epoch
		if i+1 < len(b.live) {
			e.under = b.live[i+1]
		}
		return e, err
	}
	e := newEntry(key, nil)
	e.epoch = b.epoch
	return e, nil
}

// probe looks for a key in one bucket, after look. The value is valid until the
// next call.
func (b *burst) probe(bucket ttl.Bucket, key []byte) (value []byte, found bool, err error) {
	b.keyBuf = record.AppendKey(b.keyBuf[:0], bucket, key)
	if !b.iter.SeekPrefixGE(b.keyBuf) {
		return nil, false, b.store.readError(b.iter.Error())
	}
	value, err = b.iter.ValueAndErr()
	return value, err == nil, b.store.readError(err)
}

// copies appends to dst the live buckets above one and up to another, this one
// included, in which a copy of the key stands.
func (b *burst) copies(dst []ttl.Bucket, key []byte, above, upTo ttl.Bucket) ([]ttl.Bucket, error) {
	if err := b.look(); err != nil {
		return dst, err
	}
	for _, bucket := range b.live {
		if bucket <= above || bucket > upTo {
			continue
		}
		_, present, err := b.probe(bucket, key)
		if err != nil {
			return dst, err
		}
		if present {
			dst = append(dst, bucket)
		}
	}
	return dst, nil
}

// decode makes an entry of what is stored under a key, without the value of the
// item if that is large and not asked for. What holds no record gives an entry
// that is not live. If there is an error, the entry has what the ledger counts
// of the item, as far as that can be read, and no version. It refers to key.
func (s *Store) decode(key, stored []byte, withValue bool) (*entry, error) {
	h, body, ok, err := record.Decode(stored)
	if err != nil {
		return newEntry(key, nil), s.corrupt(key, err)
	}
	if !ok {
		return newEntry(key, nil), nil
	}
	var e *entry
	if !withValue && s.options.largeValue <= int(h.RawLen) && h.RawLen <= record.MaxValueLen {
		e = unreadEntry(key, h.RawLen)
	} else {
		value, err := s.compression.values.Decode(&h, body)
		if err != nil {
			e = unreadEntry(key, h.RawLen)
			e.expiry = h.Expiry
			return e, s.corrupt(key, err)
		}
		e = newEntry(key, value)
	}
	e.flags, e.version, e.expiry = h.Flags, h.Version, h.Expiry
	e.stale, e.claimed = h.Stale, h.Claimed
	if len(h.Ext) > 0 {
		e.ext = bytes.Clone(h.Ext)
	}
	return e, nil
}

func (s *Store) corrupt(key []byte, err error) error {
	s.counts.corruptions.Add(1)
	return fmt.Errorf("%w: key %q: %w", session.ErrCorrupt, key, err)
}

// readError counts an error of a read and says whether it is corruption.
func (s *Store) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case pebble.IsCorruptionError(err):
		s.counts.corruptions.Add(1)
		return fmt.Errorf("%w: %w", session.ErrCorrupt, err)
	case errors.Is(err, context.Canceled):
		return err
	}
	s.counts.readErrors.Add(1)
	return fmt.Errorf("engine: read: %w", err)
}

// closeIter releases the disk state that the burst looks at.
func (b *burst) closeIter() {
	if b.iter != nil {
		if err := b.iter.Close(); err != nil {
			_ = b.store.readError(err) // counted; the read itself has failed before
		}
		b.iter = nil
	}
}

// reset readies the burst for reuse.
func (b *burst) reset() {
	clear(b.slots)
	clear(b.bySlot)
	clear(b.requests)
	clear(b.cold)
	clear(b.events[:cap(b.events)])
	body := b.body
	*b = burst{
		store: b.store, slots: b.slots[:0], bySlot: b.bySlot, order: b.order[:0],
		requests: b.requests[:0], cold: b.cold[:0], places: b.places[:0],
		stripes: b.stripes[:0], keyBuf: b.keyBuf[:0], doomed: b.doomed[:0], events: b.events[:0],
	}
	if cap(body) <= defaultLargeValue {
		b.body = body[:0]
	}
}
