package interop

import (
	"errors"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// gomemcache returns a client that is as patient as the test: its own 500 ms are
// less than what a server that was killed may need to open its store on a machine
// that others use, too.
func gomemcache(srv *server) *memcache.Client {
	client := memcache.New(srv.addr)
	client.Timeout = patience
	return client
}

func TestGomemcache(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	one, other := gomemcache(srv), gomemcache(srv)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(one.Set(&memcache.Item{Key: "s", Value: []byte("first"), Flags: 7, Expiration: 3600}))
	item, err := other.Get("s")
	must(err)
	if string(item.Value) != "first" || item.Flags != 7 {
		t.Errorf("read %q with flags %d", item.Value, item.Flags)
	}
	item.Value = []byte("second")
	must(other.CompareAndSwap(item))
	if err := other.CompareAndSwap(item); !errors.Is(err, memcache.ErrCASConflict) {
		t.Errorf("a second swap with the same version: %v", err)
	}
	must(one.Append(&memcache.Item{Key: "s", Value: []byte(" and more")}))
	must(one.Touch("s", 7200))
	must(one.Set(&memcache.Item{Key: "n", Value: []byte("41")}))
	_, err = one.Increment("n", 1)
	must(err)
	must(one.Set(&memcache.Item{Key: "brief", Value: []byte("x"), Expiration: 1}))
	must(one.Delete("n"))
	if err := one.Add(&memcache.Item{Key: "s", Value: []byte("x")}); !errors.Is(err, memcache.ErrNotStored) {
		t.Errorf("an add over a session: %v", err)
	}

	srv.restart()
	// Connections of the killed server are still in the pools.
	one, other = gomemcache(srv), gomemcache(srv)
	must(one.Ping())
	items, err := one.GetMulti([]string{"s", "n", "absent"})
	must(err)
	if len(items) != 1 || string(items["s"].Value) != "second and more" {
		t.Errorf("after kill -9: %v", items)
	}
	item, err = other.GetAndTouch("s", 3600)
	must(err)
	if string(item.Value) != "second and more" {
		t.Errorf("get and touch read %q", item.Value)
	}
	time.Sleep(2 * time.Second)
	if _, err := one.Get("brief"); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Errorf("past its expiry: %v", err)
	}
	must(one.FlushAll())
	if _, err := one.Get("s"); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Errorf("after flush_all: %v", err)
	}
}
