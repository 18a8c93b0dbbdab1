package engine

import (
	"bytes"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// TestIdenticalRewrite stores sessions again as they are. The log gets a patch
// instead of the value; everything that a client sees is that of a set.
func TestIdenticalRewrite(t *testing.T) {
	const sessions, rewrites = 50, 20
	fs := vfs.NewCrashableMem()
	clock := sessiontest.NewClock()
	o := testOptions(t, fs, clock)
	o.MemtableBytes, o.Compression = 4<<20, CompressionOff
	s := openStore(t, o)
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1000) }
	set := func(i int) session.Result {
		b := &session.Burst{Now: s.Now(), Commands: []session.Command{
			{Op: session.OpSet, Key: []byte{'k', byte(i)}, Value: value(i), Flags: 7, Expiry: s.Now().Add(time.Hour)},
		}}
		session.Do(s, b)
		return b.Results[0]
	}
	for i := range sessions {
		set(i)
	}
	before := s.files.db.Metrics().WAL.BytesWritten
	last := uint64(0)
	for range rewrites {
		clock.Advance(time.Second)
		for i := range sessions {
			r := set(i)
			if r.Status != session.OK || r.Item.Version <= last || r.Item.Expiry != s.Now().Add(time.Hour) {
				t.Fatalf("status %d, version %d after %d, expiry %d", r.Status, r.Item.Version, last, r.Item.Expiry)
			}
			last = r.Item.Version
		}
	}
	if each := (s.files.db.Metrics().WAL.BytesWritten - before) / (sessions * rewrites); each >= 130 {
		t.Errorf("%d bytes of log for each", each)
	}
	if n := s.counts.identical.Load(); n != sessions*rewrites {
		t.Errorf("%d counted", n)
	}
	checkInvariants(t, s)
	o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	again := openStore(t, o)
	for i := range sessions {
		b := &session.Burst{Now: again.Now(), Commands: []session.Command{{Op: session.OpGet, Key: []byte{'k', byte(i)}}}}
		session.Do(again, b)
		if it := b.Results[0].Item; !bytes.Equal(it.Value, value(i)) || it.Flags != 7 || it.Version+sessions <= last {
			t.Errorf("session %d after a power cut: %d bytes, flags %d, version %d of up to %d", i, len(it.Value), it.Flags, it.Version, last)
		}
	}
}
