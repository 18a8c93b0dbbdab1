package engine

import (
	"bytes"
	"encoding/binary"
	"math"

	"cairn/engine/disk"
	"cairn/engine/record"
	"cairn/ttl"
)

// The key of an entry in the scratch database of a salvage: length of the session
// key, the session key, then bucket, sequence number and file, all bits of these
// inverted so that the newest comes first.
const scratchTail = 4 + 8 + 8

func appendScratchKey(dst []byte, bucket ttl.Bucket, key []byte, e *disk.Entry) []byte {
	dst = append(append(dst, byte(len(key))), key...)
	dst = binary.BigEndian.AppendUint32(dst, ^uint32(bucket))
	dst = binary.BigEndian.AppendUint64(dst, ^e.Seq)
	return binary.BigEndian.AppendUint64(dst, ^e.File)
}

// levelOffset makes all levels, those of logs too, positive.
const levelOffset = 8

func appendScratchValue(dst []byte, e *disk.Entry) []byte {
	dst = append(dst, byte(e.Op), byte(e.Level+levelOffset))
	return append(dst, e.Value...)
}

// trace is all that is left of a session.
type trace struct {
	wreck   *disk.Wreck
	key     []byte
	buckets []*bucketTrace // highest first

	// settled says that a log tells where the newest copy stands, whatever other
	// buckets hold.
	settled bool
}

// bucketTrace is what is left of a session in a bucket.
type bucketTrace struct {
	bucket ttl.Bucket
	key    []byte       // of its entries
	ops    []disk.Entry // newest first, as far as they count: patches, then what they change or a delete
	whole  bool         // what is older does not count
}

// add adds an entry of the scratch database, newest first within a bucket; false:
// it belongs to another session.
func (t *trace) add(k, value []byte) bool {
	key := k[1 : len(k)-scratchTail]
	if t.key == nil {
		t.key = bytes.Clone(key)
	} else if !bytes.Equal(t.key, key) {
		return false
	}
	tail := k[len(k)-scratchTail:]
	bucket := ttl.Bucket(^binary.BigEndian.Uint32(tail))
	e := disk.Entry{
		Op: disk.Op(value[0]), Level: int(value[1]) - levelOffset,
		Seq: ^binary.BigEndian.Uint64(tail[4:]), File: ^binary.BigEndian.Uint64(tail[12:]),
	}
	if n := len(t.buckets); n == 0 || t.buckets[n-1].bucket != bucket {
		t.buckets = append(t.buckets, &bucketTrace{bucket: bucket, key: record.AppendKey(nil, bucket, key)})
	}
	b := t.buckets[len(t.buckets)-1]
	if b.whole {
		return true
	}
	for i := range t.wreck.Drops {
		if t.wreck.Drops[i].Hides(b.key, e.Seq) {
			e.Op = disk.Delete
		}
	}
	b.whole = e.Op != disk.Merge
	if e.Op != disk.Delete {
		e.Value = bytes.Clone(value[2:])
	}
	b.ops = append(b.ops, e)
	return true
}

// absent reports whether the bucket holds nothing of the session.
func (b *bucketTrace) absent() bool { return b.ops[0].Op == disk.Delete }

// oldest is the oldest entry that counts.
func (b *bucketTrace) oldest() *disk.Entry { return &b.ops[len(b.ops)-1] }

// file is the name of the file that the entries stand in, "" if there are several.
func (b *bucketTrace) file() string {
	first := &b.ops[0]
	for i := range b.ops {
		if b.ops[i].File != first.File || b.ops[i].InLog() != first.InLog() {
			return ""
		}
	}
	return first.FileName()
}

// merged folds the entries into the stored value.
func (b *bucketTrace) merged() ([]byte, error) {
	var m record.Merge
	for i := range b.ops {
		if b.ops[i].Op == disk.Delete {
			break
		}
		if err := m.Older(b.ops[i].Value); err != nil {
			return nil, err
		}
	}
	return m.Finish(), nil
}

// winner returns the newest copy of the session; nil: there is none. doubt says
// why it may not be right, "" if it is.
func (t *trace) winner() (c *bucketTrace, doubt string) {
	if len(t.wreck.Gaps) > 0 {
		if c := t.afterGap(); c != nil {
			t.settled = true
			if c.absent() {
				return nil, ""
			}
			return c, t.torn(c)
		}
	}
	for _, b := range t.buckets {
		if !b.absent() {
			return b, ""
		}
	}
	return nil, ""
}

// afterGap returns the bucket that the session was last in, by what logs hold
// behind the first place where something is missing; nil: they do not speak of
// it. The highest bucket may not be the newest then: what deleted the copy there
// may be missing.
func (t *trace) afterGap() (last *bucketTrace) {
	first := uint64(math.MaxUint64)
	for _, gap := range t.wreck.Gaps {
		first = min(first, gap)
	}
	for _, b := range t.buckets {
		if newest := &b.ops[0]; newest.InLog() && newest.Seq >= first && (last == nil || newest.Seq > last.ops[0].Seq) {
			last = b
		}
	}
	return last
}

// torn says whether a log lacks something between the entries that make c.
func (t *trace) torn(c *bucketTrace) string {
	for _, gap := range t.wreck.Gaps {
		if c.oldest().Seq < gap && gap <= c.ops[0].Seq {
			return "the log lacks what its last change was made to"
		}
	}
	return ""
}
