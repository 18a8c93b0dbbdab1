package disk

import (
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// keeper holds back the removal of tables that another Disk reads. What it has
// not removed when the process ends the next start removes.
type keeper struct {
	mu    sync.Mutex
	keeps bool
	names []string // to be removed
}

// Keep holds back the removal of tables until LetGo.
func (d *Disk) Keep() {
	d.keeper.mu.Lock()
	defer d.keeper.mu.Unlock()
	d.keeper.keeps = true
}

// LetGo removes the tables that were to be removed since Keep.
func (d *Disk) LetGo() error {
	k := &d.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, name := range k.names {
		errs = append(errs, d.options.FS.Remove(name))
	}
	k.keeps, k.names = false, nil
	return errors.Join(errs...)
}

// keepingFS is a file system on which tables stay while keeper keeps them.
type keepingFS struct {
	vfs.FS
	keeper *keeper
}

func (fs keepingFS) Unwrap() vfs.FS { return fs.FS }

// Remove implements vfs.FS.
func (fs keepingFS) Remove(name string) error {
	if !isTable(name) || !fs.keeper.keep(name) {
		return fs.FS.Remove(name)
	}
	return nil
}

// keep reports whether the table is held back. A name is used once.
func (k *keeper) keep(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keeps {
		k.names = append(k.names, name)
	}
	return k.keeps
}
