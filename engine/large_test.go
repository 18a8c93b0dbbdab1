package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"cairn/engine/compress"
	"cairn/engine/record"
	"cairn/session"
)

// Of a value of 2 MB a set makes the copy in its batch and a get the one for its
// result. What does not need the value leaves it on disk.
func TestLargeValuesAreNotCopied(t *testing.T) {
	const size = 2 << 20
	s := largeStore(t, Options{MemtableBytes: 16 << 20, SpareLogs: -1})
	value := randomBytes(size)
	later := s.Now().Add(time.Hour)
	for range 8 { // until memtables have grown, each of these ends in a flush
		do(s, session.Command{Op: session.OpSet, Key: []byte("first"), Value: value, Expiry: later})
		rest(s)
	}
	for _, e := range []struct {
		name string
		c    session.Command
		most int // bytes allocated
	}{
		{"set", session.Command{Op: session.OpSet, Value: value, Expiry: later}, size * 5 / 4},
		{"get", session.Command{Op: session.OpGet}, size * 5 / 4},
		{"add", session.Command{Op: session.OpAdd, Value: value}, size / 4},
		{"touch", session.Command{Op: session.OpTouch, Expiry: later.Add(-time.Second)}, size / 4},
		{"delete", session.Command{Op: session.OpDelete}, size / 4},
	} {
		lowest := uint64(1) << 62
		// Some rounds meet with a flush of Pebble's. Each has a key of its own,
		// since older records of it would be read from tables.
		for i := range 8 {
			e.c.Key = fmt.Appendf(nil, "%s%d", e.name, i)
			do(s, session.Command{Op: session.OpSet, Key: e.c.Key, Value: value, Expiry: later})
			rest(s)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := do(s, e.c)
			runtime.ReadMemStats(&after)
			lowest = min(lowest, after.TotalAlloc-before.TotalAlloc)
			if r.Status == session.Failed {
				t.Fatal(r.Err)
			}
			if e.c.Op == session.OpGet && !bytes.Equal(r.Item.Value, value) {
				t.Fatal("get gives another value")
			}
		}
		if int(lowest) > e.most {
			t.Errorf("%s: %d bytes allocated for a value of %d", e.name, lowest, size)
		}
	}
	if hot := s.Stats().Hot; hot.Bytes > 1<<20 {
		t.Errorf("%d bytes in the cache of hot sessions", hot.Bytes)
	}
}

// rest waits until Pebble has nothing to do in the background.
func rest(s *Store) {
	for {
		m := s.files.db.Metrics()
		if m.Flush.NumInProgress+m.Compact.NumInProgress == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func largeStore(t *testing.T, o Options) *Store {
	o.Dir, o.MaxValueSize, o.DiskReserve = t.TempDir(), 16<<20, -1
	return openStore(t, o)
}

func randomBytes(n int) []byte {
	value := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(value)
	return value
}

// What a command stores under a key takes the place of what the cache knows of
// it, also when the cache does not keep it.
func TestLargeValuesReplaceCachedOnes(t *testing.T) {
	s := largeStore(t, Options{})
	large := randomBytes(4 << 20)
	set := func(value []byte) {
		do(s, session.Command{Op: session.OpSet, Key: []byte("k"), Value: value, Expiry: session.Never})
	}
	for _, value := range [][]byte{[]byte("small"), large, large[:1<<20], large[1:]} {
		sent := bytes.Clone(value)
		set(sent)
		clear(sent) // the client's buffer is used again
		if got := do(s, session.Command{Op: session.OpGet, Key: []byte("k")}).Item.Value; !bytes.Equal(got, value) {
			t.Errorf("%d bytes came back for %d", len(got), len(value))
		}
	}
}

// Buffers that bursts share do not stay as large as the largest value.
func TestLargeFramesAreNotKept(t *testing.T) {
	s := largeStore(t, Options{Compression: CompressionDict})
	b := s.newBurst(s.Now())
	if f, _, frame := s.compression.values.Encode(nil, []byte("k"), make([]byte, 1<<20)); f.Codec != record.Raw || frame != nil {
		t.Errorf("a large value was encoded, in %d bytes", cap(frame))
	}
	_, _, b.body = s.compression.values.Encode(nil, []byte("k"), make([]byte, compress.MaxBytes))
	if cap(b.body) <= 64<<10 {
		t.Fatalf("the value was encoded in %d bytes", cap(b.body))
	}
	b.reset()
	if cap(b.body) > 64<<10 {
		t.Errorf("a buffer of %d bytes is kept", cap(b.body))
	}
}
