package memcachedfront

import (
	"testing"

	"cairn/session"
)

// plainStore answers every command with the same item.
type plainStore struct{ item session.Item }

func (s *plainStore) Apply(b *session.Burst) session.Commit {
	b.SizeResults()
	for i := range b.Results {
		b.Results[i] = session.Result{Status: session.OK, Item: s.item}
	}
	return nil
}

// Binary requests of the hot path are served without allocating.
func TestBinaryDoesNotAllocate(t *testing.T) {
	store := &plainStore{item: session.Item{Key: []byte("a"), Value: []byte("value"), Version: 1}}
	c := newConn(testServer(t, func(o *Options) { o.Store = store }), nil)
	input := []byte(unhex(
		"80010001080000000000000c00000001000000000000000000000005000000006176616c",
		"800000010000000000000001000000020000000000000000"+"61",
		"800d00010000000000000001000000030000000000000000"+"62",
		"800a00000000000000000000000000070000000000000000",
	))
	var b session.Burst
	var out []byte
	serve := func() {
		b.Reset(1)
		for rest := input; len(rest) > 0; {
			rest = rest[c.consume(rest, &b):]
		}
		store.Apply(&b)
		out, _ = c.reply(out[:0], &b)
	}
	serve()
	if n := testing.AllocsPerRun(100, serve); n != 0 {
		t.Errorf("%v allocations for four requests", n)
	}
	if len(out) == 0 {
		t.Error("no answers")
	}
}
