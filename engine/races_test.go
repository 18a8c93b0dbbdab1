package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// Pebble takes the bytes of a batch that is too large for a memtable away, and
// its sequence number with them.
func TestReadersWaitForLargeBatches(t *testing.T) {
	for _, hot := range []int64{0, -1} {
		o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
		o.HotBytes = hot
		s := openStore(t, o)
		want(t, s, session.OK, set(s, "key99", "old", time.Hour))
		large := &session.Burst{Now: s.Now()}
		for i := range 100 {
			*large.Add() = set(s, fmt.Sprintf("key%d", i), strings.Repeat("x", o.MaxValueSize), time.Hour)
		}
		written := s.Apply(large)
		read := s.Apply(&session.Burst{Now: s.Now(), Commands: []session.Command{op(session.OpGet, "key99")}})
		if read == nil {
			t.Error("a read of a large batch that is not durable need not wait")
		} else {
			read.Wait()
		}
		written.Wait()
	}
}
