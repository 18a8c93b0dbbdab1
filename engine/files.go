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
func (f *files) release() error { return errors.Join(f.close(), f.unlock()) }

// leave is release for another process that waits to open the store: it returns when
// nothing is written any more, and what was read is closed after that. What goes wrong
// then concerns nobody.
func (f *files) leave() error {
	if err := f.disk.Await(); err != nil || !f.still() {
		return errors.Join(err, f.release())
	}
	left, closed := f.disk.Leave(), make(chan error, 1)
	go func() { closed <- f.close() }()
	var err error
	select {
	case err = <-closed:
	case <-left:
	}
	return errors.Join(err, f.unlock())
}

// still reports whether Pebble writes no tables and has no files to remove.
func (f *files) still() bool {
	if f.db == nil {
		return false
	}
	m := f.db.Metrics()
	return m.Flush.NumInProgress == 0 && m.Compact.NumInProgress == 0 && f.disk.IsTidy(m)
}

func (f *files) close() error {
	var err error
	if f.db != nil {
		err = f.db.Close()
	}
	err = errors.Join(err, f.disk.Await())
	f.disk.Closed()
	if f.blocks != nil {
		f.blocks.Unref()
	}
	return err
}

func (f *files) unlock() error {
	if err := f.disk.CloseFailover(); err != nil {
		return fmt.Errorf("engine: release the lock of the failover directory: %w", err)
	}
	if f.lock == nil {
		return nil
	}
	if err := f.lock.Close(); err != nil {
		return fmt.Errorf("engine: release the lock: %w", err)
	}
	return nil
}
