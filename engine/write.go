package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// write puts what the commands amount to into one batch, applies it and shares
// the new state. The stripes of all keys are locked. It returns nil if nothing
// has changed; an entry of a log always changes the applied position. An entry
// that met a fault is not applied.
func (b *burst) write() *pebble.Batch {
	delta := record.Ledger{Now: b.now}
	batch := b.newBatch()
	if b.flushed {
		for _, space := range b.store.bucketed() {
			start, end := space.Bounds()
			b.must(batch.DeleteRange(start, end, nil))
		}
		b.store.memory.buckets.remove(ttl.Forever)
	}
	b.writeFlushAt(batch)
	for _, i := range b.changed() {
		b.writeSlot(batch, &b.slots[i], &delta)
	}
	b.writeDictionaries(batch)
	b.writeNotes(batch)
	if b.fault != nil || batch.Empty() && !b.replaying() {
		b.must(batch.Close())
		if b.fault == nil {
			b.tell() // of what has expired before it was stored, and left nothing
		}
		return nil
	}
	b.stamp(&delta)
	b.keyBuf = delta.Append(b.keyBuf[:0])
	if b.flushed {
		b.must(batch.Set(record.LedgerKey, b.keyBuf, nil))
	} else {
		b.must(batch.Merge(record.LedgerKey, b.keyBuf, nil))
	}
	b.begun = time.Now()
	b.ticket = b.store.apply(batch, !b.unsynced)
	b.share(&delta)
	b.tell()
	return batch
}

// changed returns the numbers of the slots that commands have changed, in the order
// of their keys: neighbours in a batch are neighbours in the memtable then, and
// it need not search for each from the start.
func (b *burst) changed() []int32 {
	b.order = b.order[:0]
	for i := range b.slots {
		if s := &b.slots[i]; s.after != s.before {
			b.order = append(b.order, int32(i))
		}
	}
	slices.SortFunc(b.order, func(i, j int32) int { return bytes.Compare(b.slots[i].key, b.slots[j].key) })
	return b.order
}

// must reports an error that cannot happen: batches are built in memory.
func (b *burst) must(err error) {
	if err != nil {
		b.store.fatal(err)
	}
}

func (b *burst) writeFlushAt(batch *pebble.Batch) {
	switch b.flushAt {
	case 0:
	case session.Never:
		b.must(batch.Delete(record.FlushKey, nil))
	default:
		at := binary.LittleEndian.AppendUint64(nil, uint64(b.flushAt))
		b.must(batch.Set(record.FlushKey, at, nil))
	}
}

// writeSlot turns the change of one key into writes. It keeps rule I1: the
// newest record of a key stands in the highest bucket that holds the key.
func (b *burst) writeSlot(batch *pebble.Batch, s *slot, delta *record.Ledger) {
	target := b.place(s)
	patch := patches(s, target)
	if target != 0 && !patch {
		if err := b.readyRecord(s); err != nil {
			b.failKey(s, err)
			return
		}
	}
	doomed, err := b.copiesAbove(s, target)
	if err != nil {
		b.failKey(s, err)
		return
	}
	for _, bucket := range doomed {
		op := batch.DeleteDeferred(record.KeyOverhead + len(s.key))
		record.PutKey(op.Key, bucket, s.key)
		b.must(op.Finish())
	}
	b.tally(s, delta)
	if target == 0 {
		b.indexOwner(batch, s, target)
		return
	}
	b.store.memory.buckets.add(target) // before the value is encoded; see adopt
	b.indexOwner(batch, s, target)
	if patch {
		b.mergePatch(batch, s, target)
	} else {
		b.setRecord(batch, s, target)
	}
	s.after.under = underOf(s.before, target, b.now)
	s.after.bucket = target
	if Invariants {
		b.checkPlaced(s, doomed)
	}
}

// readyRecord makes sure that a record of the slot's new item can be written.
func (b *burst) readyRecord(s *slot) error {
	if len(s.after.ext) > 0 {
		wanted := extendedRecords
		if len(s.after.belongsTo()) > 0 {
			wanted |= ownerIndex
		}
		if err := b.store.need(wanted); err != nil {
			return err
		}
	}
	return b.readValue(s)
}

// patches reports whether the record of the slot, which belongs into target, can
// be had from the one that stands there without its body.
func patches(s *slot, target ttl.Bucket) bool {
	return target == s.before.bucket && s.before.version != 0 && s.after.sameBody(s.before)
}

// place returns the bucket for the slot's new item; 0 if there is none.
func (b *burst) place(s *slot) ttl.Bucket {
	switch stands := s.before.stands(b.now); {
	case s.after.bucket == 0:
		return 0
	case stands != 0 && s.after.expiry == s.before.expiry:
		return stands
	}
	return ttl.For(s.after.expiry, b.now)
}

// copiesAbove returns the live buckets above target that hold the key. What
// counts is whether a copy is physically there, not whether it is live: an
// expired copy would hide the new one.
func (b *burst) copiesAbove(s *slot, target ttl.Bucket) (found []ttl.Bucket, err error) {
	stands := s.before.stands(b.now)
	if stands <= target {
		return nil, nil
	}
	b.doomed = append(b.doomed[:0], stands)
	if s.before.under <= target {
		return b.doomed, nil
	}
	if s.deep {
		for _, bucket := range s.copies {
			if bucket < stands && bucket > target && !bucket.Dead(b.now) {
				b.doomed = append(b.doomed, bucket)
			}
		}
		return b.doomed, nil
	}
	b.doomed, err = b.copies(b.doomed, s.key, target, min(s.before.under, stands-1))
	return b.doomed, err
}

// underOf bounds the copies that stay below a record that goes to target.
func underOf(before *entry, target ttl.Bucket, now session.Time) ttl.Bucket {
	switch stands := before.stands(now); {
	case stands == target:
		return before.under
	case stands < target:
		return stands
	}
	return min(before.under, target-1)
}

func (b *burst) mergePatch(batch *pebble.Batch, s *slot, bucket ttl.Bucket) {
	patch := s.after.patchFrom(s.before)
	var buf [record.MaxPatchLen]byte
	value := patch.Append(buf[:0])
	op := batch.MergeDeferred(record.KeyOverhead+len(s.key), len(value))
	record.PutKey(op.Key, bucket, s.key)
	copy(op.Value, value)
	b.must(op.Finish())
}

func (b *burst) setRecord(batch *pebble.Batch, s *slot, bucket ttl.Bucket) {
	h := s.after.header()
	form, body, grown := b.form(s.after)
	h.Codec, h.Dictionary = form.Codec, form.Dictionary
	b.body = grown
	op := batch.SetDeferred(record.KeyOverhead+len(s.key), h.Len()+len(body))
	record.PutKey(op.Key, bucket, s.key)
	h.Put(op.Value)
	copy(op.Value[h.Len():], body)
	b.must(op.Finish())
}

// tally counts the change of one key in the ledger.
func (b *burst) tally(s *slot, delta *record.Ledger) {
	if old := s.before; old.bucket != 0 {
		delta.Count(ttl.Minute(old.expiry), -1, -old.size())
	}
	if s.after.bucket != 0 {
		delta.Count(ttl.Minute(s.after.expiry), 1, s.after.size())
	}
}

// failKey takes all commands on one key back, because where its copies are
// could not be read.
func (b *burst) failKey(s *slot, err error) {
	b.noteFault(err)
	s.after = s.before
	for _, r := range b.requests {
		for i := range r.in.Commands {
			if string(r.in.Commands[i].Key) == string(s.key) {
				fail(&r.in.Results[i], err)
			}
		}
	}
}

// share makes the state after the batch, which has been applied, visible.
func (b *burst) share(delta *record.Ledger) {
	s := b.store
	if wrong := s.memory.ledger.add(delta, b.flushed); wrong != "" {
		s.broken("%s", wrong)
	}
	if b.replaying() {
		b.shareReplayed()
	}
	s.horizon.noteMark(b.now)
	if b.flushAt != 0 {
		s.flushes.plan(b.flushAt)
	}
	if b.flushed {
		b.epoch = s.flushes.flushed(b.ticket) // makes the whole cache void
	}
	for i := range b.slots {
		if slot := &b.slots[i]; slot.after != slot.before {
			if Invariants {
				s.checkTicket(slot.stripe, b.ticket)
			}
			s.memory.stripes.stamp(slot.stripe, b.ticket)
			slot.after.ticket, slot.after.epoch = b.ticket, b.epoch
			s.memory.hot.put(slot.after)
		}
	}
}
