package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/disk"
)

// files are what the store has on the disk. All but features is set while it is
// opened and stays; who uses db or log keeps the store from being closed.
type files struct {
	lock     *pebble.Lock // of the directory
	disk     *disk.Disk
	blocks   *pebble.Cache // of tables
	db       *pebble.DB
	log      batchLog
	features inUse
}

// flush moves what is in memtables into tables, as far as it gets before ctx is
// done: on a full disk it gets nowhere.
func (f *files) flush(ctx context.Context) error {
	flushed, err := f.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release closes what Open opened.
func (f *files) release() error {
	var err error
	if f.db != nil {
		err = f.db.Close()
	}
	err = errors.Join(err, f.disk.Await())
	f.disk.Closed()
	if f.blocks != nil {
		f.blocks.Unref()
	}
	if f.lock == nil {
		return err
	}
	if closeErr := f.lock.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("engine: release the lock: %w", closeErr))
	}
	return err
}
