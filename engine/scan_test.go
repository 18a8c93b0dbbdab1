package engine

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// A nil prefix stands for every key, as an empty one does.
func TestScanWithoutPrefix(t *testing.T) {
	clock := sessiontest.NewClock()
	s := openStore(t, testOptions(t, vfs.NewMem(), clock))
	var b session.Burst
	b.Reset(s.Now())
	for _, key := range []string{"a", "b"} {
		c := b.Add()
		c.Op, c.Key, c.Expiry = session.OpSet, []byte(key), session.Never
	}
	session.Do(s, &b)
	for _, prefix := range [][]byte{nil, {}} {
		found := ""
		err := s.Scan(context.Background(), prefix, nil, func(it *session.Item) bool {
			found += string(it.Key)
			return true
		})
		if err != nil || found != "ab" {
			t.Errorf("with prefix %#v: found %q, %v", prefix, found, err)
		}
	}
}
