package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"cairn/session"
	"cairn/session/sessiontest"
)

// randomBurst makes a burst with every field, and rarely few of them.
func randomBurst(r *rand.Rand) *session.Burst {
	g := sessiontest.Generator{Rand: r, Keys: 40, FlushOdds: 20}
	b := new(session.Burst)
	g.Fill(b, session.Time(r.Int64N(1<<42)), r.IntN(40))
	b.MaxValue, b.Full = r.Uint32()>>r.IntN(33), r.IntN(2) == 0
	for i := range b.Commands {
		c := &b.Commands[i]
		if r.IntN(10) == 0 {
			*c = session.Command{Op: session.OpAdopt, Value: []byte("dictionary")}
		}
		if r.IntN(10) == 0 {
			*c = wildCommand(r)
		}
		if r.IntN(4) == 0 {
			b.SizeFrames(len(b.Commands))
			b.Frames[i] = session.Frame{Codec: 1 + uint8(r.IntN(255)), Dictionary: r.Uint32() >> r.IntN(33), RawLen: r.Uint32() >> r.IntN(33), Data: c.Value}
		}
	}
	return b
}

// wildCommand makes a command of numbers of every size.
func wildCommand(r *rand.Rand) session.Command {
	n := func() uint64 { return r.Uint64() >> r.IntN(65) }
	at := func() session.Time { return session.Time(n()) }
	return session.Command{
		Op: session.Op(1 + r.IntN(int(session.OpFlush))), Mods: session.Mods(r.UintN(uint(2 * session.IfBorn))),
		Key: make([]byte, r.IntN(300)), Flags: r.Uint32(), Expiry: at(), CAS: n(), NewVersion: n(), Delta: n(), Initial: n(),
		VivifyExpiry: at(), RecacheBefore: at(), FlushAt: pickTime(r),
		Created: pickTime(r), Owner: make([]byte, r.IntN(session.MaxOwnerLen)), Limit: pickTime(r), Born: r.Uint64() >> r.IntN(64),
	}
}

func pickTime(r *rand.Rand) session.Time {
	times := []session.Time{0, 1, -1, session.Never, session.Never - 1, math.MinInt64, math.MinInt64 + 1}
	return times[r.IntN(len(times))]
}

// randomResults returns the burst results with every field.
func randomResults(r *rand.Rand, b *session.Burst) {
	b.SizeResults()
	for i := range b.Results {
		result, flip := &b.Results[i], func() bool { return r.IntN(2) == 0 }
		result.Status = session.Status(1 + r.IntN(int(session.Fenced)))
		result.Number = r.Uint64() >> r.IntN(65)
		result.Won, result.Created = flip(), flip()
		it := &result.Item
		it.Flags, it.Version, it.Expiry, it.LastAccess = r.Uint32()>>r.IntN(33), r.Uint64()>>r.IntN(65), pickTime(r), pickTime(r)
		it.Born, it.Created = it.Version, pickTime(r)
		if flip() {
			it.Born = r.Uint64() >> r.IntN(65)
		}
		if flip() {
			it.Owner = []byte("owner")
		}
		it.Stale, it.Claimed, it.Fetched = flip(), flip(), flip()
		if flip() {
			it.Value = make([]byte, r.IntN(100))
		}
		if flip() && len(b.Commands[i].Key) > 0 {
			it.Key = b.Commands[i].Key
		}
		if result.Status == session.Failed {
			result.Err = randomError(r)
		}
	}
}

func randomError(r *rand.Rand) error {
	err := errorCodes[r.IntN(len(errorCodes))]
	switch r.IntN(3) {
	case 0:
		return fmt.Errorf("engine: a reason: %w", err)
	case 1:
		return errors.New("another error")
	}
	return err
}

// plain returns b as it comes back from bytes: nothing empty that is not nil, no
// value that a frame stands for, no frames if all are empty.
func plain(b *session.Burst) *session.Burst {
	p := &session.Burst{Now: b.Now, Admission: b.Admission, Commands: bytesNil(b.Commands)}
	p.Frames = nil
	for i := range p.Commands {
		if i >= len(b.Frames) || b.Frames[i].Codec == 0 {
			continue
		}
		p.Commands[i].Value = nil
		p.SizeFrames(len(b.Commands))
		p.Frames[i] = b.Frames[i]
		if len(p.Frames[i].Data) == 0 {
			p.Frames[i].Data = nil
		}
	}
	return p
}

func bytesNil(commands []session.Command) (plain []session.Command) {
	for _, c := range commands {
		if len(c.Key) == 0 {
			c.Key = nil
		}
		if len(c.Value) == 0 {
			c.Value = nil
		}
		if len(c.Owner) == 0 {
			c.Owner = nil
		}
		plain = append(plain, c)
	}
	return plain
}

func TestBurstRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var got session.Burst
	for range 2_000 {
		want := randomBurst(r)
		data, err := AppendBurst([]byte("before"), want, Latest)
		if err != nil {
			t.Fatal(err)
		}
		data = data[len("before"):]
		level, err := DecodeBurst(data, &got)
		if err != nil || level != Latest {
			t.Fatalf("level %d, %v: %x", level, err, data)
		}
		if got, want := plain(&got), plain(want); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\nbecame\n%+v", want, got)
		}
	}
}

func TestResultsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		want := randomBurst(r)
		randomResults(r, want)
		data, err := AppendResults(nil, want, Latest)
		if err != nil {
			t.Fatal(err)
		}
		got := &session.Burst{Commands: want.Commands}
		if level, err := DecodeResults(data, got); err != nil || level != Latest {
			t.Fatalf("level %d, %v: %x", level, err, data)
		}
		for i := range want.Results {
			compareResults(t, &got.Results[i], &want.Results[i])
		}
	}
}

func compareResults(t *testing.T, got, want *session.Result) {
	t.Helper()
	g, w := *got, *want
	if w.Err != nil {
		if g.Err == nil || g.Err.Error() != w.Err.Error() {
			t.Fatalf("error %v became %v", w.Err, g.Err)
		}
		for _, e := range errorCodes {
			if errors.Is(g.Err, e) != errors.Is(w.Err, e) {
				t.Fatalf("error %v is %v: %t, was %t", g.Err, e, errors.Is(g.Err, e), errors.Is(w.Err, e))
			}
		}
	}
	g.Err, w.Err = nil, nil
	if len(w.Item.Value) == 0 {
		w.Item.Value = nil
	}
	if !reflect.DeepEqual(g, w) {
		t.Fatalf("%+v\nbecame\n%+v", w, g)
	}
}

// TestTruncated decodes every prefix of what encoders write, which must be an
// error, and each with one byte more.
func TestTruncated(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		b := randomBurst(r)
		randomResults(r, b)
		burst, _ := AppendBurst(nil, b, Latest)
		results, _ := AppendResults(nil, b, Latest)
		for n := range len(burst) {
			var got session.Burst
			if _, err := DecodeBurst(burst[:n], &got); !errors.Is(err, ErrMalformed) || len(got.Commands) > 0 {
				t.Fatalf("%d of %d bytes of a burst: %v", n, len(burst), err)
			}
		}
		for n := range len(results) {
			got := session.Burst{Commands: b.Commands}
			if _, err := DecodeResults(results[:n], &got); !errors.Is(err, ErrMalformed) || len(got.Results) > 0 {
				t.Fatalf("%d of %d bytes of results: %v", n, len(results), err)
			}
		}
		if _, err := DecodeBurst(append(burst, 0), new(session.Burst)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("a burst and a byte more: %v", err)
		}
	}
}

// TestEncodeAllocatesNothing keeps the encoder free of garbage.
func TestEncodeAllocatesNothing(t *testing.T) {
	b := benchBurst()
	var buf []byte
	run := func() {
		var err error
		if buf, err = AppendBurst(buf[:0], b, Latest); err != nil {
			t.Fatal(err)
		}
		if buf, err = AppendResults(buf[:0], b, Latest); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDecodeReuses decodes into a burst that has room already.
func TestDecodeReuses(t *testing.T) {
	b := benchBurst()
	data, _ := AppendBurst(nil, b, Latest)
	var got session.Burst
	run := func() {
		if _, err := DecodeBurst(data, &got); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if !bytes.Equal(got.Commands[0].Value, b.Commands[0].Value) || cap(got.Commands[0].Key) != len(got.Commands[0].Key) {
		t.Error("value or key is not as it was, or has room to write into the input")
	}
}

func TestDecodeBoundsAllocation(t *testing.T) {
	var b session.Burst
	for _, data := range [][]byte{
		{1, 0, 0, 0, 0xFF, 0xFF, 0x7F},                         // 2 million commands, no bytes
		{1, 0, 0, 0, 0x81, 0x20, 3, 0, 0, 0},                   // 4,097 commands
		{1, 0, 0, 0, 1, 3, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0}, // a key of 256 MB
	} {
		if _, err := DecodeBurst(data, &b); !errors.Is(err, ErrMalformed) || cap(b.Commands) > 16 {
			t.Errorf("%x: %v, room for %d commands", data, err, cap(b.Commands))
		}
	}
}

func TestTooManyCommands(t *testing.T) {
	var b session.Burst
	for range session.MaxCommands {
		*b.Add() = session.Command{Op: session.OpDelete, Key: []byte("k")}
	}
	data, err := AppendBurst(nil, &b, Latest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeBurst(data, new(session.Burst)); err != nil {
		t.Fatal(err)
	}
	*b.Add() = session.Command{Op: session.OpDelete, Key: []byte("k")}
	if dst, err := AppendBurst([]byte("x"), &b, Latest); err != ErrTooMany || string(dst) != "x" {
		t.Errorf("%q, %v", dst, err)
	}
}

func benchBurst() *session.Burst {
	b := new(session.Burst)
	b.Reset(1_700_000_000_000)
	value := bytes.Repeat([]byte("session "), 128)
	for i := range 8 {
		key := fmt.Appendf(nil, "memc.sess.key.%026d", i)
		*b.Add() = session.Command{Op: session.OpSet, Key: key, Value: value, Flags: 4, Expiry: b.Now.Add(24 * 60e9)}
		*b.Add() = session.Command{Op: session.OpTouch, Key: key, Expiry: b.Now.Add(24 * 60e9)}
	}
	b.SizeResults()
	for i := range b.Results {
		b.Results[i] = session.Result{Status: session.OK, Item: session.Item{Key: b.Commands[i].Key, Version: 1 << 40, Expiry: b.Commands[i].Expiry}}
	}
	return b
}

func BenchmarkAppendBurst(b *testing.B) {
	burst := benchBurst()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendBurst(buf[:0], burst, Latest)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportMetric(float64(len(buf))/float64(len(burst.Commands)), "bytes/command")
}

func BenchmarkDecodeBurst(b *testing.B) {
	data, _ := AppendBurst(nil, benchBurst(), Latest)
	var burst session.Burst
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeBurst(data, &burst); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendResults(b *testing.B) {
	burst := benchBurst()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendResults(buf[:0], burst, Latest)
	}
}

func BenchmarkDecodeResults(b *testing.B) {
	burst := benchBurst()
	data, _ := AppendResults(nil, burst, Latest)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeResults(data, burst); err != nil {
			b.Fatal(err)
		}
	}
}
