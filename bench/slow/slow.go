// Package slow is a Cairn whose reads of tables take a given time, as on a disk
// that is far away or busy: the real engine and the real front end, over a file
// system that waits.
package slow

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"cairn/engine"
	"cairn/engine/enginetest"
	"cairn/memcachedfront"
	"cairn/serve"
)

// Options say what to serve. All are required but ReadDelay and Threads.
type Options struct {
	Dir       string        // data directory
	Address   string        // TCP, host:port
	HotBytes  int64         // of the cache of hot sessions
	ReadDelay time.Duration // of each read of a table; 0: none
	Threads   int           // default: the server's
}

// A restart puts what was written into tables, and no compaction has to read them
// meanwhile. The cache of blocks holds indexes and filters of many sessions, and
// little more.
const (
	memtableBytes   = 16 << 20
	blockCacheBytes = 8 << 20
)

// Serve serves until ctx ends.
func Serve(ctx context.Context, o Options) (err error) {
	disk := enginetest.NewTables(nil)
	disk.Delay(o.ReadDelay)
	store, err := engine.Open(engine.Options{
		Dir: o.Dir, FS: disk, HotBytes: o.HotBytes, DiskReserve: -1,
		MemtableBytes: memtableBytes, BlockCacheBytes: blockCacheBytes, SpareLogs: 2,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	server, err := memcachedfront.Listen(memcachedfront.Options{
		Options: serve.Options{
			Store: store, Clock: store, Threads: o.Threads, Logger: slog.Default(),
			Addresses: []serve.Address{{Network: "tcp", Addr: o.Address}},
		},
		Inspector: store,
	})
	if err != nil {
		return err
	}
	return server.Serve(ctx)
}
