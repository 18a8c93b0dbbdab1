package codec

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"cairn/session"
)

// wantDecodeError checks that a decoder fails with nothing but its own errors.
func wantDecodeError(t *testing.T, err error) {
	t.Helper()
	var unknown *UnknownError
	if !errors.Is(err, ErrMalformed) && !errors.As(err, &unknown) {
		t.Fatalf("error %v", err)
	}
}

// FuzzDecodeBurst checks that any bytes are refused, or are exactly what the
// encoder writes.
func FuzzDecodeBurst(f *testing.F) {
	golden, _ := AppendBurst(nil, goldenBurst(Latest), Latest)
	f.Add(golden)
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		data, _ := AppendBurst(nil, randomBurst(r), Latest)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var b session.Burst
		level, err := DecodeBurst(data, &b)
		if err != nil {
			wantDecodeError(t, err)
			return
		}
		if again, err := AppendBurst(nil, &b, level); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x was written as\n%x, %v", data, again, err)
		}
	})
}

// FuzzDecodeResults is FuzzDecodeBurst for results.
func FuzzDecodeResults(f *testing.F) {
	golden := goldenBurst(Latest)
	burst, _ := AppendBurst(nil, golden, Latest)
	results, _ := AppendResults(nil, golden, Latest)
	f.Add(burst, results)
	r := rand.New(rand.NewPCG(9, 10))
	for range 20 {
		b := randomBurst(r)
		randomResults(r, b)
		burst, _ := AppendBurst(nil, b, Latest)
		results, _ := AppendResults(nil, b, Latest)
		f.Add(burst, results)
	}
	f.Fuzz(func(t *testing.T, burst, results []byte) {
		var b session.Burst
		if _, err := DecodeBurst(burst, &b); err != nil {
			return
		}
		level, err := DecodeResults(results, &b)
		if err != nil {
			wantDecodeError(t, err)
			return
		}
		again, err := AppendResults(nil, &b, level)
		if err != nil {
			t.Fatal(err)
		}
		// now is the writer's, which the burst of the reader does not have.
		b2 := session.Burst{Commands: b.Commands}
		if _, err := DecodeResults(again, &b2); err != nil {
			t.Fatal(err)
		}
		for i := range b.Results {
			compareResults(t, &b2.Results[i], &b.Results[i])
		}
	})
}

// FuzzBurst checks that what a burst becomes is read as what it was.
func FuzzBurst(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		want := randomBurst(rand.New(rand.NewPCG(a, b)))
		data, err := AppendBurst(nil, want, Latest)
		if err != nil {
			t.Fatal(err)
		}
		var got session.Burst
		if _, err := DecodeBurst(data, &got); err != nil {
			t.Fatal(err)
		}
		if got, want := plain(&got), plain(want); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\nbecame\n%+v", want, got)
		}
	})
}
