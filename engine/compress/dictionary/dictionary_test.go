package dictionary

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// phpSession and jsonSession make values like those of two applications:
// mostly structure, some entropy.
func phpSession(r *rand.Rand) []byte {
	return fmt.Appendf(nil, `user_id|i:%d;login|s:16:"%016x";roles|a:2:{i:0;s:4:"user";i:1;s:6:"editor";}cart|a:3:{s:5:"items";i:%d;s:5:"total";d:%d.5;s:8:"currency";s:3:"EUR";}csrf_token|s:32:"%016x%016x";last_activity|i:%d;`,
		r.IntN(1e7), r.Uint64(), r.IntN(20), r.IntN(500), r.Uint64(), r.Uint64(), 1_760_000_000+r.IntN(1e7))
}

func jsonSession(r *rand.Rand) []byte {
	return fmt.Appendf(nil, `{"cookie":{"originalMaxAge":1800000,"expires":"2026-11-%02dT%02d:00:00.000Z","httpOnly":true,"path":"/"},"passport":{"user":"%08x"},"flash":{},"views":%d,"returnTo":"/account/orders/%d"}`,
		1+r.IntN(28), r.IntN(24), r.Uint32(), r.IntN(1000), r.IntN(1e6))
}

// train feeds the trainer from make until it is due.
func train(t *testing.T, tr *Trainer, r *rand.Rand, key string, id uint32, make func(*rand.Rand) []byte) Dictionary {
	t.Helper()
	for range 1_000_000 {
		value := make(r)
		if tr.Observe(KindOf([]byte(key), value), value, len(value)) {
			d, err := tr.Train(id)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatal("never due for training")
	return Dictionary{}
}

func TestEachKindGetsItsOwnDictionary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	set := NewSet()
	tr := NewTrainer()
	kinds := []struct {
		key  string
		make func(*rand.Rand) []byte
	}{{"memc.sess.key.abc", phpSession}, {"sess:xyz", jsonSession}}
	for i, k := range kinds {
		d := train(t, tr, r, k.key, uint32(100+i), k.make)
		if err := set.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	for i, k := range kinds {
		var raw, framed, plain int
		for range 200 {
			value := k.make(r)
			kind := KindOf([]byte(k.key), value)
			frame, id := set.Encode(nil, value, kind)
			if id != uint32(100+i) {
				t.Fatalf("%s: encoded with dictionary %d", k.key, id)
			}
			back, err := decode(set, frame, id, len(value))
			if err != nil || !bytes.Equal(back, value) {
				t.Fatalf("%s: round trip: %v", k.key, err)
			}
			noDict, _ := set.Encode(nil, value, kind+1)
			raw, framed, plain = raw+len(value), framed+len(frame), plain+len(noDict)
		}
		t.Logf("%s: raw %d, with dictionary %d, without %d", k.key, raw, framed, plain)
		if framed*10 > plain*8 {
			t.Errorf("%s: the dictionary saves too little: %d of %d bytes", k.key, framed, plain)
		}
	}
}

func TestDecodeNeedsTheDictionary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	set := NewSet()
	d := train(t, NewTrainer(), r, "k:", 7, phpSession)
	if err := set.Add(d); err != nil {
		t.Fatal(err)
	}
	value := phpSession(r)
	frame, _ := set.Encode(nil, value, d.Kind)

	set.Remove(7)
	if _, err := decode(set, frame, 7, len(value)); !errors.Is(err, ErrUnknown) {
		t.Errorf("decoding without the dictionary: %v, want ErrUnknown", err)
	}
	if _, ok := set.Current(d.Kind); ok {
		t.Error("a removed dictionary is still current")
	}
	if err := set.Add(d); err != nil {
		t.Fatal(err)
	}
	if back, err := decode(set, frame, 7, len(value)); err != nil || !bytes.Equal(back, value) {
		t.Errorf("decoding after the dictionary came back: %v", err)
	}
}

func TestAddRefusesWhatIsNoDictionary(t *testing.T) {
	set := NewSet()
	d := train(t, NewTrainer(), rand.New(rand.NewPCG(5, 6)), "k:", 7, jsonSession)
	for name, bad := range map[string]Dictionary{
		"zero id":    {ID: 0, Raw: d.Raw},
		"not a dict": {ID: 9, Raw: []byte("hello")},
		"cut short":  {ID: 7, Raw: d.Raw[:10]},
	} {
		if err := set.Add(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := set.Add(d); err != nil {
		t.Fatal(err)
	}
	if err := set.Add(d); err == nil {
		t.Error("the same id twice: accepted")
	}
	if n := len(set.All()); n != 1 {
		t.Errorf("%d dictionaries, want 1", n)
	}
}

func TestDamagedFramesAreErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	set := NewSet()
	d := train(t, NewTrainer(), r, "k:", 7, phpSession)
	if err := set.Add(d); err != nil {
		t.Fatal(err)
	}
	value := phpSession(r)
	for _, kind := range []Kind{d.Kind, d.Kind + 1} {
		frame, id := set.Encode(nil, value, kind)
		for cut := range frame {
			if _, err := decode(set, frame[:cut], id, len(value)); err == nil {
				t.Errorf("a frame cut to %d of %d bytes decodes", cut, len(frame))
			}
		}
		if _, err := decode(set, frame, id, len(value)+1); err == nil {
			t.Error("a frame decodes to a value of another length")
		}
	}
}

// decode decodes a frame of a value of that length.
func decode(set *Set, frame []byte, id uint32, length int) ([]byte, error) {
	value := make([]byte, length)
	err := set.Decode(value, frame, id)
	return value, err
}

// What only one session holds must not outlive it in a dictionary.
func TestDictionariesHoldNoSecrets(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	var secrets [][]byte
	d := train(t, NewTrainer(), r, "k:", 1, func(r *rand.Rand) []byte {
		secret := fmt.Appendf(nil, "%016x", r.Uint64())
		secrets = append(secrets, secret)
		return fmt.Appendf(phpSession(r), `token|s:16:"%s";`, secret)
	})
	if !bytes.Contains(d.Raw, []byte(`token|s:16:"`)) {
		t.Error("the dictionary does not hold what all sessions have in common")
	}
	for _, secret := range secrets {
		for at := 0; at+gramLen <= len(secret); at++ {
			if part := secret[at : at+gramLen]; bytes.Contains(d.Raw, part) {
				t.Fatalf("the dictionary holds %q of the token %q", part, secret)
			}
		}
	}
}

func TestCommonParts(t *testing.T) {
	samples := [][]byte{
		[]byte("one prefix in common, then 11111111 and a tail"),
		[]byte("one prefix in common, then 22222222 and a tail"),
		[]byte("one prefix in common, then 33333333 and a tail"),
		[]byte("short"), {},
	}
	if got := string(commonParts(samples, 3, 1000)); got != "one prefix in common, then  and a tail" {
		t.Errorf("got %q", got)
	}
	if got := commonParts(samples, 4, 1000); len(got) > 0 {
		t.Errorf("got %q of which no sample knows", got)
	}
	if got := string(commonParts(samples, 3, 30)); got != "one prefix in common, then " {
		t.Errorf("got %q in 30 bytes", got)
	}
}

// Values too long for a dictionary, and those of no length at all, are frames
// like others.
func TestAllLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	set := NewSet()
	d := train(t, NewTrainer(), r, "k:", 1, phpSession)
	if err := set.Add(d); err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat(phpSession(r), 1000)
	for _, length := range []int{0, 1, 7, 8, 9, 100, reach - 1, reach, reach + 1, len(long)} {
		value := long[:length]
		frame, id := set.Encode([]byte("what was here before"), value, d.Kind)
		if back, err := decode(set, frame, id, length); err != nil || !bytes.Equal(back, value) {
			t.Errorf("%d bytes, dictionary %d: %v", length, id, err)
		}
	}
}

func TestRandomDataNeverTakesTheTrainerDown(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	tr := NewTrainer()
	for range 100_000 {
		value := make([]byte, 400)
		for i := range value {
			value[i] = byte(r.Uint32())
		}
		if tr.Observe(1, value, len(value)) {
			if _, err := tr.Train(3); !errors.Is(err, ErrTooFew) {
				t.Errorf("training from noise: %v", err)
			}
			return
		}
	}
	t.Fatal("never due")
}

func TestRetrainsWhenSessionsChange(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	tr := NewTrainer()
	feed := func(n, percent int) (due bool) {
		for range n {
			value := phpSession(r)
			due = tr.Observe(1, value, len(value)*percent/100) || due
		}
		return due
	}
	if !feed(samplesNeeded*sampleEvery*2, 100) {
		t.Fatal("not due at first")
	}
	if _, err := tr.Train(1); err != nil {
		t.Fatal(err)
	}
	windows := 2 * sampleEvery * ratioWindow / len(phpSession(r))
	if feed(windows, 25) {
		t.Error("due again though the ratio is as good as ever")
	}
	if !feed(windows, 60) {
		t.Error("not due though frames have doubled")
	}
}

// A dictionary of an earlier process is replaced if it is of no use from the start:
// the application was changed while the store was down. It is not if what is stored
// just resembles it less than before, and noise is not trained over and over.
func TestRetrainsWhatAnEarlierProcessTrained(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	windows := 2 * sampleEvery * ratioWindow / len(phpSession(r))
	for _, c := range []struct {
		percent int // what is left of values
		due     bool
	}{{50, false}, {86, false}, {89, true}, {100, true}} {
		tr := NewTrainer()
		tr.Trained(1)
		due := false
		for range windows {
			value := phpSession(r)
			due = tr.Observe(1, value, len(value)*c.percent/100) || due
		}
		if due != c.due {
			t.Errorf("frames of %d %%: due %t", c.percent, due)
		}
	}

	tr := NewTrainer()
	tr.Trained(1)
	trained := 0
	for range 50_000 {
		value := make([]byte, 400)
		for i := range value {
			value[i] = byte(r.Uint32())
		}
		if tr.Observe(1, value, len(value)) {
			if _, err := tr.Train(3); !errors.Is(err, ErrTooFew) {
				t.Errorf("training from noise: %v", err)
			}
			trained++
		}
	}
	if trained != 1 {
		t.Errorf("noise was trained from %d times", trained)
	}
}

func TestConcurrentUse(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	set := NewSet()
	d := train(t, NewTrainer(), r, "k:", 1, phpSession)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(g), 0))
			for range 300 {
				value := phpSession(r)
				frame, id := set.Encode(nil, value, d.Kind)
				if back, err := decode(set, frame, id, len(value)); err != nil || !bytes.Equal(back, value) {
					t.Errorf("round trip: %v", err)
				}
			}
		}()
	}
	for id := uint32(1); id < 5; id++ {
		next := train(t, NewTrainer(), r, "k:", id, phpSession)
		if err := set.Add(next); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func FuzzDecode(f *testing.F) {
	set := NewSet()
	if err := set.Add(Dictionary{ID: 1, Raw: build(bytes.SplitAfter(bytes.Repeat([]byte("a session like others\n"), minSharers), []byte("\n")))}); err != nil {
		f.Fatal(err)
	}
	for kind, id := range []uint32{1, 0} {
		frame, _ := set.Encode(nil, []byte("a session like others"), Kind(kind))
		f.Add(frame, 21, id)
	}
	f.Fuzz(func(t *testing.T, frame []byte, length int, id uint32) {
		set.Decode(make([]byte, max(0, min(length, 1<<20))), frame, id)
	})
}

func BenchmarkEncode(b *testing.B) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, withDictionary := range []bool{false, true} {
		set := NewSet()
		tr := NewTrainer()
		value := phpSession(r)
		kind := KindOf([]byte("k:"), value)
		if withDictionary {
			for !tr.Observe(kind, phpSession(r), 1) {
			}
			d, err := tr.Train(1)
			if err != nil {
				b.Fatal(err)
			}
			set.Add(d)
		}
		b.Run(fmt.Sprintf("dictionary=%v", withDictionary), func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(value)))
			for b.Loop() {
				dst, _ = set.Encode(dst, value, kind)
			}
		})
		b.Run(fmt.Sprintf("decode/dictionary=%v", withDictionary), func(b *testing.B) {
			frame, id := set.Encode(nil, value, kind)
			dst := make([]byte, len(value))
			b.ReportAllocs()
			for b.Loop() {
				if err := set.Decode(dst, frame, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
