package remote

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cairn/session"
	"cairn/session/codec"
)

func reads(keys ...string) *session.Burst {
	b := &session.Burst{Now: 1000}
	for _, key := range keys {
		c := b.Add()
		c.Op, c.Key = session.OpGet, []byte(key)
	}
	b.SizeResults()
	return b
}

// TestReading sends reads to and fro. What does not fit into an answer is left out, but
// for the first value.
func TestReading(t *testing.T) {
	asked := reads("a", "b", "c")
	call, err := AppendRead(nil, 7, asked, codec.Latest)
	if err != nil {
		t.Fatal(err)
	}
	kind, body, err := CutCall(call)
	if err != nil || kind != KindRead {
		t.Fatalf("kind %d, %v", kind, err)
	}
	got := new(session.Burst)
	if group, err := DecodeRead(body, got); err != nil || group != 7 || len(got.Commands) != 3 || string(got.Commands[2].Key) != "c" {
		t.Fatalf("group %d, %v, %v", group, got.Commands, err)
	}
	got.SizeResults()
	for i, size := range []int{MaxPage + 1, 10, 10} {
		got.Results[i] = session.Result{Status: session.OK, Item: session.Item{
			Key: got.Commands[i].Key, Value: bytes.Repeat([]byte("v"), size), Version: uint64(i + 1), Born: uint64(i + 1), Expiry: 5000,
		}}
	}
	answer := AnswerRead(got, codec.Latest)
	if n, err := DecodeReading(answer, asked); err != nil || n != 1 || len(asked.Results[0].Item.Value) != MaxPage+1 || asked.Results[1].Status != 0 {
		t.Fatalf("%d results, %v", n, err)
	}
	if err := session.ErrNeedsLog; !errors.Is(second(Open(Failure(err))), err) {
		t.Errorf("%v does not come back", err)
	}
	if !errors.Is(second(Open(Failure(fmt.Errorf("closing: %w", ErrElsewhere)))), ErrElsewhere) {
		t.Error("ErrElsewhere does not come back")
	}
	if err := second(Open(Failure(errors.New("odd")))); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("%v", err)
	}
	writes := reads("a")
	writes.Commands[0].Op = session.OpDelete
	call, _ = AppendRead(nil, 0, writes, codec.Latest)
	if _, err := DecodeRead(call[1:], got); !errors.Is(err, ErrMalformed) {
		t.Errorf("a write passes for a read: %v", err)
	}
}

func second(_ []byte, err error) error { return err }

// TestPage fills pages up to their bounds.
func TestPage(t *testing.T) {
	var p Page
	n := 0
	for it := (&session.Item{Key: []byte("k"), Value: make([]byte, MaxPage/3), Version: 9, Born: 3, Owner: []byte("o")}); p.Add(it); n++ {
		it.Key = append(it.Key, 'k')
	}
	if n != 2 {
		t.Errorf("room for %d items and one more", n)
	}
	items, more, err := DecodePage(p.Answer(true, codec.Latest))
	if err != nil || !more || len(items) != 3 {
		t.Fatalf("%d items, %v, %v", len(items), more, err)
	}
	if it := items[2].Item; string(it.Key) != "kkk" || len(it.Value) != MaxPage/3 || it.Version != 9 || it.Born != 3 || string(it.Owner) != "o" {
		t.Errorf("got %q, version %d, born %d, owner %q", it.Key, it.Version, it.Born, it.Owner)
	}
}

// FuzzDecode decodes what nobody has written.
func FuzzDecode(f *testing.F) {
	call, _ := AppendRead(nil, 3, reads("a", "b"), codec.Latest)
	f.Add(call)
	var p Page
	p.Add(&session.Item{Key: []byte("k"), Value: []byte("v"), Version: 1, Born: 1})
	f.Add(p.Answer(true, codec.Latest))
	f.Add(Failure(ErrElsewhere))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, body, err := CutCall(data); err == nil {
			_, _ = DecodeRead(body, new(session.Burst))
		}
		if items, _, err := DecodePage(data); err == nil {
			for i := range items {
				_ = len(items[i].Item.Key)
			}
		}
		b := reads("a", "b")
		if n, err := DecodeReading(data, b); err == nil && (n < 1 || n > 2) {
			t.Errorf("%d results of two", n)
		}
	})
}
