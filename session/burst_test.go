package session_test

import (
	"testing"

	"cairn/session"
)

func TestValidKey(t *testing.T) {
	for n, want := range map[int]bool{0: false, 1: true, session.MaxKeyLen: true, session.MaxKeyLen + 1: false} {
		if got := session.ValidKey(make([]byte, n)); got != want {
			t.Errorf("a key of %d bytes: %t", n, got)
		}
	}
}

func TestLive(t *testing.T) {
	it := session.Item{Expiry: 100}
	if !it.Live(99) || it.Live(100) || it.Live(101) {
		t.Error("the expiry is not the first instant of absence")
	}
	it.Expiry = session.Never
	if !it.Live(session.Never - 1) {
		t.Error("an item without expiry died")
	}
}

// TestBurstForgets checks that nothing of one burst shows in the next.
func TestBurstForgets(t *testing.T) {
	var b session.Burst
	for range 3 {
		b.Reset(7)
		if b.Now != 7 || len(b.Commands) != 0 || len(b.Results) != 0 {
			t.Fatalf("after Reset: %+v", b)
		}
		for range 5 {
			c := b.Add()
			if c.Op != 0 || c.Key != nil || c.Mods != 0 {
				t.Fatalf("Add gave %+v", c)
			}
			*c = session.Command{Op: session.OpSet, Mods: session.Vivify, Key: []byte("k")}
		}
		b.SizeResults()
		if len(b.Results) != 5 {
			t.Fatalf("%d results", len(b.Results))
		}
		for i := range b.Results {
			if b.Results[i].Status != 0 || b.Results[i].Item.Key != nil {
				t.Fatalf("SizeResults left %+v", b.Results[i])
			}
			b.Results[i] = session.Result{Status: session.OK, Item: session.Item{Key: []byte("k")}}
		}
	}
}

func TestWrites(t *testing.T) {
	for _, c := range []struct {
		op   session.Op
		mods session.Mods
		want bool
	}{
		{session.OpGet, 0, false}, {session.OpGet, session.Peek, false}, {session.OpGet, session.IfVersion, false},
		{session.OpGet, session.SetExpiry, true}, {session.OpGet, session.Vivify, true}, {session.OpGet, session.Recache, true},
		{session.OpTouch, 0, true}, {session.OpSet, 0, true}, {session.OpDelete, 0, true}, {session.OpFlush, 0, true},
	} {
		command := session.Command{Op: c.op, Mods: c.mods}
		if command.Writes() != c.want {
			t.Errorf("op %d with mods %#x: writes %t", c.op, c.mods, !c.want)
		}
	}
}
