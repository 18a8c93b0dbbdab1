package engine

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"cairn/session"
)

// room is a session.Room that has some memory, or makes stores wait.
type room struct {
	mu    sync.Mutex
	full  bool
	taken []int64
	then  func()
	asked chan struct{} // closed at the first question
}

func newRoom(full bool) *room { return &room{full: full, asked: make(chan struct{})} }

func (r *room) Take(n int64, then func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken = append(r.taken, n); len(r.taken) == 1 {
		close(r.asked)
	}
	r.then = then
	return !r.full
}

// fillCold stores values of n bytes that the cache does not keep.
func fillCold(t *testing.T, s *Store, keys, n int) {
	t.Helper()
	var b session.Burst
	for i := range keys {
		b.Reset(s.Now())
		*b.Add() = session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "k%d", i), Value: bytes.Repeat([]byte{byte('a' + i)}, n), Expiry: session.Never}
		if session.Do(s, &b); b.Results[0].Status != session.OK {
			t.Fatal(b.Results[0])
		}
	}
}

// Reads that bring much from the disk ask for memory once, before they do, for
// all that they will bring; others do not ask.
func TestLargeReadsAskForRoom(t *testing.T) {
	const keys = 4
	for _, test := range []struct {
		op   session.Op
		size int
		want int64 // 0: it does not ask
	}{
		{session.OpGet, 100_000, keys * 100_000},
		{session.OpGet, 2_000_000, keys * 2_000_000},
		{session.OpGet, 1000, 0},
		{session.OpGet, 30_000, keys * 30_000}, // together
		{session.OpAppend, 100_000, keys * 100_000},
		{session.OpTouch, 100_000, 0},
	} {
		s := largeStore(t, Options{HotBytes: -1, SpareLogs: -1, Compression: CompressionOff})
		fillCold(t, s, keys, test.size)
		r := newRoom(false)
		b := &session.Burst{Now: s.Now(), Room: r}
		for i := range keys {
			*b.Add() = session.Command{Op: test.op, Key: fmt.Appendf(nil, "k%d", i), Value: []byte("x"), Expiry: session.Never}
		}
		session.Do(s, b)
		for i, result := range b.Results {
			if result.Status != session.OK || test.op == session.OpGet && len(result.Item.Value) != test.size {
				t.Errorf("op %v, %d bytes: %v of %s", test.op, test.size, result.Status, b.Commands[i].Key)
			}
		}
		if test.want == 0 && len(r.taken) > 0 || test.want > 0 && (len(r.taken) != 1 || r.taken[0] < test.want || r.taken[0] > test.want*11/10) {
			t.Errorf("op %v, %d bytes: asked for %v, want %d", test.op, test.size, r.taken, test.want)
		}
	}
}

// A read that waits for memory holds up no others, whatever they read.
func TestReadsThatWaitForRoomHoldUpNobody(t *testing.T) {
	s := largeStore(t, Options{HotBytes: -1, SpareLogs: -1, Fetches: 1})
	fillCold(t, s, 1, 2_000_000)
	var waiting []*room
	var done sync.WaitGroup
	for range 10 {
		r := newRoom(true)
		b := &session.Burst{Now: s.Now(), Room: r}
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte("k0")}
		waiting = append(waiting, r)
		done.Go(func() {
			if session.Do(s, b); b.Results[0].Status != session.OK {
				t.Errorf("the one that waited: %+v", b.Results[0])
			}
		})
		<-r.asked
	}
	fillCold(t, s, 1, 1_500_000)
	b := &session.Burst{Now: s.Now()}
	*b.Add() = session.Command{Op: session.OpGet, Key: []byte("k0")}
	if session.Do(s, b); len(b.Results[0].Item.Value) != 1_500_000 {
		t.Errorf("the one with memory: %v", b.Results[0].Status)
	}
	for _, r := range waiting {
		r.mu.Lock()
		go r.then()
		r.mu.Unlock()
	}
	done.Wait()
}
