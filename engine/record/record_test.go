package record

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cairn/session"
	"cairn/ttl"
)

func randomHeader(r *rand.Rand) Header {
	h := Header{
		Codec: S2 * Codec(r.IntN(2)), Stale: r.IntN(2) == 0, Claimed: r.IntN(2) == 0,
		Flags: r.Uint32(), Version: r.Uint64(), Expiry: session.Time(r.Int64()),
	}
	if h.Codec != Raw {
		h.RawLen, h.Dictionary = r.Uint32(), r.Uint32()
	}
	if r.IntN(2) == 0 {
		x := randomExtension(r)
		h.Ext = append(x.Append(nil), make([]byte, r.IntN(20))...) // of a later version
	}
	return h
}

func randomExtension(r *rand.Rand) Extension {
	return Extension{
		Born: r.Uint64(), Created: session.Time(r.Int64()), TTL: r.Uint32(),
		Owner: bytes.Repeat([]byte{'o'}, r.IntN(session.MaxOwnerLen+1)),
	}
}

func encode(h Header, body []byte) []byte {
	value := make([]byte, h.Len(), h.Len()+len(body))
	h.Put(value)
	return append(value, body...)
}

func mustDecode(t *testing.T, value []byte) (Header, []byte) {
	t.Helper()
	h, body, ok, err := Decode(value)
	if err != nil || !ok {
		t.Fatalf("decode %x: ok %t, error %v", value, ok, err)
	}
	return h, body
}

func TestRecordRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		want, body := randomHeader(r), bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(100))
		if want.Codec == Raw {
			want.RawLen = uint32(len(body))
		}
		got, gotBody := mustDecode(t, encode(want, body))
		if !reflect.DeepEqual(got, want) || !bytes.Equal(gotBody, body) {
			t.Fatalf("%+v %x became %+v %x", want, body, got, gotBody)
		}
	}
}

// The layout is persisted: if this changes, old stores cannot be read.
func TestLayout(t *testing.T) {
	h := Header{Stale: true, Flags: 0x01020304, Version: 0x1112131415161718, Expiry: 0x2122232425262728}
	want := "\x01\x00\x01\x00\x04\x03\x02\x01\x18\x17\x16\x15\x14\x13\x12\x11\x28\x27\x26\x25\x24\x23\x22\x21body"
	if got := encode(h, []byte("body")); string(got) != want {
		t.Errorf("record %x", got)
	}
	h.Codec, h.RawLen, h.Dictionary = S2, 0x31323334, 0x41424344
	want = "\x01\x03" + want[2:24] + "\x34\x33\x32\x31\x44\x43\x42\x41body"
	if got := encode(h, []byte("body")); string(got) != want {
		t.Errorf("compressed record %x", got)
	}
	x := Extension{Born: 0x5152535455565758, Created: 0x6162636465666768, TTL: 0x71727374, Owner: []byte("me")}
	h.Ext = x.Append(nil)
	want = "\x02" + want[1:3] + "\x17" + want[4:32] + "\x58\x57\x56\x55\x54\x53\x52\x51" +
		"\x68\x67\x66\x65\x64\x63\x62\x61" + "\x74\x73\x72\x71" + "\x02mebody"
	if got := encode(h, []byte("body")); string(got) != want {
		t.Errorf("extended record %x", got)
	}
	var p Patch
	p.SetExpiry(1)
	p.SetVersion(2)
	p.SetStale(true)
	p.SetClaimed(false)
	if got := p.Append(nil); string(got) != "\x81\x0f\x01\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("patch %x", got)
	}
	l := Ledger{Now: 120_000, Version: 300}
	l.Count(3, 1, 100)
	l.Count(ttl.NeverMinute, -1, -2)
	if got := l.Append(nil); string(got) != "\x41\xac\x02\xc0\xa9\x07\x02\x02\xc8\x01\x00\x01\x03" {
		t.Errorf("ledger %x", got)
	}
	if got := AppendKey(nil, 0x01020304, []byte("key")); string(got) != "d\x01\x02\x03\x04key" {
		t.Errorf("key %x", got)
	}
}

func TestKeys(t *testing.T) {
	records := &Spaces[1]
	var last []byte
	for _, bucket := range []ttl.Bucket{0, 1, 255, 256, 1 << 24, ttl.Forever} {
		for _, key := range []string{"", "\x00", "a", "a\xff", "\xff\xff\xff"} {
			k := AppendKey(nil, bucket, []byte(key))
			put := make([]byte, KeyOverhead+len(key))
			PutKey(put, bucket, []byte(key))
			gotBucket, gotKey, ok := SplitKey(k)
			if !ok || gotBucket != bucket || string(gotKey) != key || !bytes.Equal(k, put) || SpaceOf(k) != records {
				t.Errorf("%d %q: %x, %x, back %d %q %t", bucket, key, k, put, gotBucket, gotKey, ok)
			}
			if bytes.Compare(last, k) >= 0 || bytes.Compare(k, DataStart) < 0 || bytes.Compare(k, DataEnd) >= 0 ||
				bytes.Compare(k, records.AppendBucket(nil, bucket)) < 0 || bytes.Compare(k, records.AppendBucketEnd(nil, bucket)) >= 0 {
				t.Errorf("%x is out of order", k)
			}
			last = k
		}
	}
	for _, k := range []string{"", "d", "d\x00\x00\x00", "c/ledger", "e\x00\x00\x00\x00"} {
		if _, _, ok := SplitKey([]byte(k)); ok {
			t.Errorf("%q is taken for the key of a record", k)
		}
	}
	for _, k := range [][]byte{LedgerKey, FlushKey} {
		if SpaceOf(k) != &Spaces[0] || bytes.Compare(k, DataStart) >= 0 {
			t.Errorf("%q", k)
		}
	}
}

// randomPatch sets a random choice of fields.
func randomPatch(r *rand.Rand) (p Patch) {
	if r.IntN(2) == 0 {
		p.SetExpiry(session.Time(r.Int64N(1000)))
	}
	if r.IntN(3) == 0 {
		p.SetVersion(r.Uint64N(1000))
	}
	if r.IntN(3) == 0 {
		p.SetStale(r.IntN(2) == 0)
	}
	if r.IntN(3) == 0 {
		p.SetClaimed(r.IntN(2) == 0)
	}
	return p
}

// However Pebble groups the values under a key, the result is that of applying
// them in order.
func TestMergeIsAssociative(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		h := randomHeader(r)
		plain := encode(h, []byte("body"))
		values := [][]byte{slices.Clone(plain)}
		for range r.IntN(6) {
			p := randomPatch(r)
			p.apply(plain)
			values = append(values, p.Append(nil))
		}
		if r.IntN(4) == 0 { // the record is gone
			values = values[1:]
		}
		got := group(t, r, values)
		if len(values) > 0 && !isPatch(values[0]) {
			if !bytes.Equal(got, plain) {
				t.Fatalf("merged to %x, want %x", got, plain)
			}
		} else if got != nil {
			if _, _, ok, err := Decode(got); ok || err != nil {
				t.Fatalf("patches alone became %x (%v)", got, err)
			}
			late := encode(h, []byte("body"))
			for _, v := range values {
				p, _ := decodePatch(v)
				p.apply(late)
			}
			if base := encode(h, []byte("body")); !bytes.Equal(mergeAll(t, r, [][]byte{base, got}), late) {
				t.Fatal("merged patches differ from single ones")
			}
		}
	}
}

// group merges random runs of neighbours until one value is left.
func group(t *testing.T, r *rand.Rand, values [][]byte) []byte {
	values = slices.Clone(values)
	for len(values) > 1 {
		i := r.IntN(len(values) - 1)
		j := i + 2 + r.IntN(len(values)-i-1)
		values = slices.Replace(values, i, j, mergeAll(t, r, values[i:j]))
	}
	if len(values) == 0 {
		return nil
	}
	return values[0]
}

// mergeAll feeds values, oldest first, in random order from a random one on.
func mergeAll(t *testing.T, r *rand.Rand, values [][]byte) []byte {
	var m Merge
	first := r.IntN(len(values))
	must(t, m.Newer(values[first]))
	older, newer := first-1, first+1
	for older >= 0 || newer < len(values) {
		if newer == len(values) || older >= 0 && r.IntN(2) == 0 {
			must(t, m.Older(values[older]))
			older--
		} else {
			must(t, m.Newer(values[newer]))
			newer++
		}
	}
	return m.Finish()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The order and grouping in which ledgers are merged does not matter.
func TestLedgerMergesInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		parts := make([]*Ledger, 1+r.IntN(8))
		for i := range parts {
			l := &Ledger{Now: session.Time(r.Int64N(5 * 60_000)), Version: r.Uint64N(100)}
			for range r.IntN(5) {
				l.Count(r.Int64N(12), r.Int64N(5)-2, r.Int64N(500)-200)
			}
			l.Count(ttl.NeverMinute, 1, 1)
			parts[i] = l
		}
		want := fold(t, parts)
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		cut := r.IntN(len(parts))
		if cut > 0 {
			parts = append([]*Ledger{fold(t, parts[:cut])}, parts[cut:]...)
		}
		if got := fold(t, parts); string(got.Append(nil)) != string(want.Append(nil)) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

// fold merges parts, each and the sum through its stored form.
func fold(t *testing.T, parts []*Ledger) *Ledger {
	t.Helper()
	sum := new(LedgerSum)
	for _, part := range parts {
		stored, err := DecodeLedger(part.Append(nil))
		must(t, err)
		sum.Add(stored)
	}
	stored, err := DecodeLedger(sum.Ledger().Append(nil))
	must(t, err)
	return stored
}

// Sessions of a year expire in half a million minutes. To insert these one by
// one took minutes, at each flush of a memtable.
func TestLedgersOfManyMinutesMerge(t *testing.T) {
	const minutes = 500_000
	var sum LedgerSum
	for part := range int64(2) { // of every other minute
		l := &Ledger{Now: 60_000}
		for m := part + 1; m <= minutes; m += 2 {
			l.Slots = append(l.Slots, Slot{Minute: m, Items: 1, Bytes: m})
		}
		sum.Add(l)
	}
	sum.Add(&Ledger{Now: 120_000, Slots: []Slot{{Minute: minutes, Items: -1, Bytes: -minutes}}})
	got := sum.Ledger().Slots
	if len(got) != minutes-1 {
		t.Fatalf("%d slots, want %d", len(got), minutes-1)
	}
	for i, slot := range got[:len(got)-1] {
		if m := int64(i) + 2; slot != (Slot{Minute: m, Items: 1, Bytes: m}) {
			t.Fatalf("slot %d is %+v", i, slot)
		}
	}
	if last := got[len(got)-1]; last != (Slot{Minute: minutes}) {
		t.Errorf("the last slot is %+v", last)
	}
}

func TestLedgerForgetsThePast(t *testing.T) {
	l := &Ledger{Now: 60_000}
	l.Count(0, 5, 5) // already past
	l.Count(1, 1, 10)
	l.Count(2, 2, 20)
	l.Count(ttl.NeverMinute, 3, 30)
	if items, bytes := l.Advance(119_999); items != 0 || bytes != 0 {
		t.Errorf("%d items of %d bytes left within their minute", items, bytes)
	}
	if items, bytes := l.Advance(120_000); items != 1 || bytes != 10 {
		t.Errorf("%d items of %d bytes left", items, bytes)
	}
	if len(l.Slots) != 2 || l.Slots[0].Minute != 2 || l.Slots[1].Minute != ttl.NeverMinute {
		t.Errorf("slots %+v", l.Slots)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(Header{Version: 1}, []byte("body")))
	f.Add(encode(Header{Codec: S2, RawLen: 5}, nil))
	f.Add(encode(Header{Ext: (&Extension{Born: 1, Owner: []byte("o")}).Append(nil)}, []byte("body")))
	f.Add((&Patch{mask: 15, bits: 3}).Append(nil))
	f.Fuzz(func(t *testing.T, value []byte) {
		h, body, ok, err := Decode(value)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v", err)
		}
		if err == nil && ok && !bytes.Equal(encode(h, body), clean(value)) {
			t.Errorf("%x became %x", value, encode(h, body))
		}
		var m Merge
		if errors.Join(m.Newer(value), m.Newer(value), m.Older(value)) == nil {
			if _, _, again, err := Decode(m.Finish()); err != nil || again != ok {
				t.Errorf("%x merged with itself cannot be read: %v", value, err)
			}
		}
	})
}

// clean zeroes the bits that no version has given a meaning.
func clean(value []byte) []byte {
	value = slices.Clone(value)
	value[2] &= bitStale | bitClaimed
	return value
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte("\x41\xac\x02\xc0\xa9\x07\x02\x02\xc8\x01\x00\x01\x03"))
	f.Fuzz(func(t *testing.T, value []byte) {
		l, err := DecodeLedger(value)
		if err != nil {
			return
		}
		again, err := DecodeLedger(l.Append(nil))
		if err != nil || string(again.Append(nil)) != string(l.Append(nil)) {
			t.Errorf("%x: %+v became %+v (%v)", value, l, again, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	value := encode(Header{Version: 1, Expiry: 2}, make([]byte, 1000))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := Decode(value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMergePatch(b *testing.B) {
	value := encode(Header{Version: 1, Expiry: 2}, make([]byte, 1000))
	var p Patch
	p.SetExpiry(3)
	patch := p.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		var m Merge
		if m.Newer(patch) != nil || m.Older(value) != nil {
			b.Fatal("merge")
		}
		m.Finish()
	}
}

func BenchmarkLedgerAppend(b *testing.B) {
	l := Ledger{Now: 1_767_312_000_500, Version: 1 << 30}
	l.Count(ttl.Minute(l.Now)+30, 1, 1000)
	l.Count(ttl.Minute(l.Now)+29, -1, -1000)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = l.Append(buf[:0])
	}
}

// Every key between the first and the last space belongs to exactly one of them
// or to none, and the bounds agree with that.
func TestSpaces(t *testing.T) {
	for b := range 256 {
		k := []byte{byte(b), 0, 0, 0, 1}
		within := 0
		for i := range Spaces {
			start, end := Spaces[i].Bounds()
			if bytes.Compare(start, k) <= 0 && bytes.Compare(k, end) < 0 {
				within++
				if SpaceOf(k) != &Spaces[i] {
					t.Errorf("%q is in %s", k, Spaces[i].Name)
				}
			}
		}
		if within > 1 || within == 0 && SpaceOf(k) != nil {
			t.Errorf("%q is in %d spaces", k, within)
		}
	}
	if SpaceOf(nil) != nil {
		t.Error("no key is in a space")
	}
}

// An extension comes back as it was, with or without what a later version has
// put behind it, also after patches; bytes that are too few are none.
func TestExtension(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 5_000 {
		want := randomExtension(r)
		ext := want.Append(nil)
		if len(ext) != want.Len() {
			t.Fatalf("%d bytes, not %d", len(ext), want.Len())
		}
		later := append(slices.Clone(ext), make([]byte, r.IntN(100))...)
		value := encode(Header{Codec: S2 * Codec(r.IntN(2)), Ext: later}, []byte("body"))
		p := randomPatch(r)
		var m Merge
		must(t, m.Newer(p.Append(nil)))
		must(t, m.Older(value))
		h, body := mustDecode(t, m.Finish())
		if !bytes.Equal(h.Ext, later) || string(body) != "body" {
			t.Fatalf("%x became %x, body %q", later, h.Ext, body)
		}
		if got, ok := DecodeExtension(h.Ext); !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v became %+v, %t", want, got, ok)
		}
		for n := range len(ext) {
			if _, ok := DecodeExtension(ext[:n]); ok {
				t.Fatalf("%d of %d bytes are an extension", n, len(ext))
			}
		}
		cut := slices.Clone(value)
		cut[3] = byte(r.IntN(leastExtension))
		if _, _, _, err := Decode(cut); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("an extension of %d bytes: %v", cut[3], err)
		}
	}
	plain := encode(Header{}, []byte("body"))
	plain[3] = 21
	if _, _, _, err := Decode(plain); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an extension of a record that has none: %v", err)
	}
}

// The key of an index entry comes back as it was; what is too short, or names an owner
// that is too long, is none.
func TestOwnerKeys(t *testing.T) {
	owner, key := bytes.Repeat([]byte("o"), session.MaxOwnerLen), []byte("key")
	k := make([]byte, OwnerKeyOverhead+len(owner)+len(key))
	PutOwnerKey(k, 0x01020304, owner, key)
	if bucket, ok := Owners.Bucket(k); !ok || bucket != 0x01020304 || SpaceOf(k).Name != "owners" {
		t.Errorf("key %x is in bucket %d", k, bucket)
	}
	rest := k[KeyOverhead:]
	if o, s, ok := SplitOwner(rest); !ok || !bytes.Equal(o, owner) || !bytes.Equal(s, key) {
		t.Errorf("%x became %q, %q, %t", rest, o, s, ok)
	}
	if !bytes.HasPrefix(rest, AppendOwner(nil, owner)) {
		t.Errorf("%x does not begin with its owner", rest)
	}
	PutOwnerKey(k[:OwnerKeyOverhead+5], 0x01020304, []byte("me"), key)
	if got := k[:OwnerKeyOverhead+5]; string(got) != "u\x01\x02\x03\x04\x02mekey" {
		t.Errorf("key %x", got) // the layout is persisted
	}
	for _, bad := range []string{"", "\x00key", "\x03me", "\x02me", "\x41" + strings.Repeat("x", 70)} {
		if _, _, ok := SplitOwner([]byte(bad)); ok {
			t.Errorf("%q is taken for an entry", bad)
		}
	}
}
