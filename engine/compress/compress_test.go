package compress

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// shelf is a Storage in memory.
type shelf struct {
	stored  map[uint32]record.Dictionary
	buckets []ttl.Bucket
	fail    error
}

func (s *shelf) PutDictionary(d *record.Dictionary) error {
	if s.fail == nil {
		s.stored[d.ID] = *d
	}
	return s.fail
}

func (s *shelf) DropDictionary(id uint32) error {
	if s.fail == nil {
		delete(s.stored, id)
	}
	return s.fail
}

func (s *shelf) Buckets() []ttl.Bucket { return s.buckets }

func newShelf() *shelf { return &shelf{stored: make(map[uint32]record.Dictionary)} }

// sessions are values of one kind of session, with a layout of their own.
func sessions(r *rand.Rand, layout string, n int) (values [][]byte) {
	for range n {
		values = append(values, fmt.Appendf(nil, layout, r.IntN(9), r.Uint64(), r.Uint32(), r.IntN(1e6)))
	}
	return values
}

const (
	oldLayout = `cart|a:2:{s:5:"items";i:%d;s:8:"currency";s:3:"EUR";}csrf|s:16:"%016x";visitor|s:8:"%08x";language|s:5:"de_DE";last|i:%d;`
	newLayout = `c{"basket":{"count":%d,"voucher":"%016x"},"profile":{"id":"%08x","newsletter":false},"consent":["statistics","marketing"],"seen":%d}`
)

// trainOne encodes sessions until there is a dictionary more.
func trainOne(t *testing.T, v *Values, d *Dictionaries, r *rand.Rand, layout string) {
	t.Helper()
	before := d.Len()
	for range 200 {
		for _, value := range sessions(r, layout, 200) {
			v.Encode(nil, []byte("shop:1"), value)
		}
		if err := d.Train(); err != nil {
			t.Fatal(err)
		}
		if d.Len() > before {
			return
		}
	}
	t.Fatal("no dictionary was trained")
}

// Whatever was encoded is decoded as long as its bucket is there, by a process
// that knows only what was stored; then its dictionary goes.
func TestLifeOfDictionaries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	disk := newShelf()
	v := New(true)
	d := NewDictionaries(v, disk, slog.New(slog.DiscardHandler))
	disk.buckets = []ttl.Bucket{700}
	trainOne(t, v, d, r, oldLayout)
	type stored struct {
		h           record.Header
		body, value []byte
	}
	var records []stored
	store := func(layout string) {
		for _, value := range sessions(r, layout, 50) {
			f, body, _ := v.Encode(nil, []byte("shop:1"), value)
			records = append(records, stored{
				record.Header{Codec: f.Codec, Dictionary: f.Dictionary, RawLen: uint32(len(value))}, slices.Clone(body), value})
		}
	}
	store(oldLayout)
	for d.Len() < 2 {
		trainOne(t, v, d, r, newLayout)
	}
	store(newLayout)
	if f := v.Figures(); f.Dictionaries != 2 || f.Out >= f.In {
		t.Errorf("figures %+v", f)
	}
	if disk.stored[1].Last != 700 || disk.stored[2].Last != 0 {
		t.Errorf("last buckets %d and %d", disk.stored[1].Last, disk.stored[2].Last)
	}

	other := New(false)
	known := NewDictionaries(other, disk, slog.New(slog.DiscardHandler))
	for _, on := range disk.stored {
		if err := known.Learn(&on); err != nil {
			t.Fatal(err)
		}
	}
	known.Retire()
	for _, rec := range records {
		value, err := other.Decode(&rec.h, rec.body)
		if err != nil || !bytes.Equal(value, rec.value) {
			t.Fatalf("%q became %q, error %v", rec.value, value, err)
		}
	}

	dead := ttl.Bucket(700).Deadline()
	for _, c := range []struct {
		buckets []ttl.Bucket
		now     session.Time
		left    int
	}{
		{[]ttl.Bucket{900, 700}, dead.Add(time.Hour), 2}, // not dropped yet
		{[]ttl.Bucket{900}, dead.Add(-time.Hour), 2},     // a read may still be under way
		{[]ttl.Bucket{900}, dead.Add(time.Hour), 1},
	} {
		disk.buckets = c.buckets
		if err := d.Forget(c.now); err != nil || d.Len() != c.left || len(disk.stored) != c.left {
			t.Errorf("buckets %v at %d: %d dictionaries, %d stored, error %v", c.buckets, c.now, d.Len(), len(disk.stored), err)
		}
	}
	if _, err := v.Decode(&records[0].h, records[0].body); err == nil {
		t.Error("a value was decoded without its dictionary")
	}
}

// A dictionary that could not be stored is not used.
func TestDictionaryIsStoredFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	disk := newShelf()
	disk.fail = errors.New("disk")
	v := New(true)
	d := NewDictionaries(v, disk, slog.New(slog.DiscardHandler))
	for range 200 {
		for _, value := range sessions(r, oldLayout, 200) {
			if f, _, _ := v.Encode(nil, []byte("shop:1"), value); f.Dictionary != 0 {
				t.Fatal("a dictionary is used that is not stored")
			}
		}
		if err := d.Train(); errors.Is(err, disk.fail) {
			return
		}
	}
	t.Fatal("no dictionary was trained")
}

// A header that claims a value larger than any is corruption, before memory is
// taken for it.
func TestClaimedLengthIsBounded(t *testing.T) {
	h := record.Header{Codec: record.S2, RawLen: record.MaxValueLen + 1}
	if _, err := New(true).Decode(&h, []byte("frame")); !errors.Is(err, record.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}
