package upstream

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"sync"

	"cairn/session"
)

const (
	// maxKnown is how many keys are known at most, in each of two generations; what
	// was noted longest ago is forgotten.
	maxKnown = 1 << 19

	// settledFor is for how long it is remembered that a key is Cairn's own affair,
	// and absentFor that the old store has no such session, in milliseconds.
	settledFor = session.Time(24 * 60 * 60 * 1000)
	absentFor  = session.Time(60 * 1000)
)

// known are keys for which the old store need not, or must not, be asked: their
// session is here, or was removed, or is not there either. Keys are known by a
// hash of 64 bits. The zero known is empty.
type known struct {
	mu       sync.Mutex
	now, old map[uint64]session.Time // by hash: until when
}

func hash(key []byte) uint64 {
	h := fnv.New64a()
	h.Write(key)
	return h.Sum64()
}

// add notes a key until an instant; what is known for longer stays so.
func (k *known) add(key uint64, until session.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.now) >= maxKnown {
		k.old, k.now = k.now, nil
	}
	if k.now == nil {
		k.now = map[uint64]session.Time{}
	}
	k.now[key] = max(until, k.now[key], k.old[key])
}

// has reports whether a key is known.
func (k *known) has(key uint64, now session.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(k.now[key], k.old[key]) > now
}

// size returns how many keys are noted.
func (k *known) size() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.now) + len(k.old)
}

// pack returns what is known at now, as bytes for unpack.
func (k *known) pack(now session.Time) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b []byte
	for _, generation := range []map[uint64]session.Time{k.old, k.now} {
		for key, until := range generation {
			if until > now {
				b = binary.LittleEndian.AppendUint64(b, key)
				b = binary.LittleEndian.AppendUint64(b, uint64(until))
			}
		}
	}
	return b
}

// unpack adds what pack has returned.
func (k *known) unpack(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	read := map[uint64]session.Time{}
	for ; len(b) >= 16; b = b[16:] {
		key := binary.LittleEndian.Uint64(b)
		read[key] = max(session.Time(binary.LittleEndian.Uint64(b[8:])), read[key])
	}
	maps.Copy(read, k.now)
	k.old, k.now = read, nil
}
