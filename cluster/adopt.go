package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/cluster/membership"
	"cairn/durable"
	"cairn/engine"
)

// A data directory of a single server becomes that of the first node of a cluster: its
// store becomes the engine of the only group. Until the cluster has begun, nothing
// changes, and the single server may start again. From then on the node goes on with it
// at each start, until it is done:
//
//  1. the store writes a checkpoint of itself beside where the engine is to be,
//  2. that is renamed to be the engine,
//  3. the files of the store are removed.

// adoptingSuffix is that of the directory in which an engine is made of a store.
const adoptingSuffix = ".adopting"

// single is the store of a single server in a node's data directory.
type single struct {
	fs     vfs.FS
	dir    string // of the server
	engine string // where the engine of the group is to be
	store  *engine.Store
}

// openSingle opens the store of a single server if the directory of a node has one:
// that keeps others from it, and tells early whether it can be opened. It returns nil
// if there is none, or its engine has been made already.
func openSingle(o engine.Options, engineDir string) (*single, error) {
	s := &single{fs: o.FS, dir: o.Dir, engine: engineDir}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	there, err := engine.Holds(s.fs, s.dir)
	if err != nil || !there {
		return nil, err
	}
	if made, err := engine.Holds(s.fs, s.engine); err != nil || made {
		return nil, err
	}
	s.store, err = engine.Open(o)
	return s, err
}

// close lets go of the store.
func (s *single) close() error {
	if s == nil || s.store == nil {
		return nil
	}
	store := s.store
	s.store = nil
	return store.Close()
}

// adopt makes the engine of the store.
func (s *single) adopt() error {
	if s == nil {
		return nil
	}
	making := s.engine + adoptingSuffix
	if err := s.fs.RemoveAll(making); err != nil {
		return err
	}
	if err := s.store.Checkpoint(making); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	if err := s.fs.Rename(making, s.engine); err != nil {
		return err
	}
	return durable.SyncDir(s.fs, s.dir)
}

// finishAdoption removes what is left of a store that has become the engine of a group.
func finishAdoption(fs vfs.FS, dir, engineDir string) error {
	left, err := engine.Holds(fs, dir)
	if err != nil || !left {
		return err
	}
	made, err := engine.Holds(fs, engineDir)
	if err != nil || !made {
		return err
	}
	if err := fs.RemoveAll(engineDir + adoptingSuffix); err != nil {
		return err
	}
	return engine.Remove(fs, dir)
}

// lookForSingle opens the store of a single server in the node's data directory, if
// there is one that it may bring into the cluster.
func (n *Node) lookForSingle() error {
	dir := n.o.Engine.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	there, err := engine.Holds(vfs.Default, dir)
	if err != nil || !there {
		return err
	}
	switch identity, err := membership.Load(dir, n.o.Cluster, n.o.Groups); {
	case err != nil:
		return err
	case identity.Begun() && !identity.Adopts:
		return fmt.Errorf("cluster: %s has the sessions of a single server, and is the data directory of a node: name another data directory", dir)
	case identity.Groups != 1:
		return fmt.Errorf("cluster: %s has the sessions of a single server, which a cluster of %d groups cannot begin with", dir, identity.Groups)
	}
	n.single, err = openSingle(n.o.Engine, n.engineOptions(0).Dir)
	return err
}

// adopt makes the single server's store the engine of the group, if it is not yet.
func (n *Node) adopt() error {
	if !n.membership.Identity().Adopts {
		return nil
	}
	dir := n.engineOptions(0).Dir
	if n.single != nil {
		sessions := n.single.store.Stats().Items
		if err := n.single.adopt(); err != nil {
			return fmt.Errorf("cluster: bring the sessions of %s into the cluster: %w", n.o.Engine.Dir, err)
		}
		n.single = nil
		n.logger.Info("the sessions of the single server are the cluster's now", "sessions", sessions, "data-dir", filepath.Clean(dir))
	}
	return finishAdoption(vfs.Default, n.o.Engine.Dir, dir)
}
