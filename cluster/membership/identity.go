// Package membership knows which nodes make up a cluster: who this node is, how a
// cluster begins, and at which addresses the others are.
package membership

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// FileName is that of the file in the data directory that says who the node is.
const FileName = "cluster.json"

// Identity is who a node is, as its data directory says. A node without its
// directory is another node.
type Identity struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`     // its name
	Node    uint64 `json:"node,string"` // random, and never 0

	// Groups is how many groups the cluster has, and Members are its nodes. There
	// are none before the cluster has begun.
	Groups  int      `json:"groups"`
	Members []Member `json:"members,omitempty"`

	// At is from which index of the first group's log on they are the nodes, and
	// Founders are those that the cluster has begun with.
	At       uint64   `json:"at,omitempty"`
	Founders []uint64 `json:"founders,omitempty"`

	// Adopts says that the cluster has begun with the sessions of a single server that
	// were in this data directory, and Size how many nodes it is to have.
	Adopts bool `json:"adopts,omitempty"`
	Size   int  `json:"size,omitempty"`

	// Clients is the version of what clients were told of the nodes last.
	Clients int64 `json:"clients,omitempty"`

	// Drained says that an operator wants the node to have no clients, and not to lead.
	// An earlier version that starts with the directory ignores it, and forgets it.
	Drained bool `json:"drained,omitempty"`
}

// Member is a node of the cluster.
type Member struct {
	Node    uint64 `json:"node,string"`
	Address string `json:"address"`           // where it was last heard of
	Learner bool   `json:"learner,omitempty"` // it gets the log, and does not count yet
	Level   uint8  `json:"level,omitempty"`   // the highest that it knows; 0: not known
	Client  string `json:"client,omitempty"`  // where clients reach it, as it last said; "": not known
	Zone    string `json:"zone,omitempty"`    // what fails together with it, as it last said; "": not known
}

const format = 1

// Load reads who the node of a data directory is. A directory that does not say
// makes a new one.
func Load(dir, cluster string, groups int) (*Identity, error) {
	i, err := Read(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		i := &Identity{Format: format, Cluster: cluster, Groups: groups, Node: newNode()}
		return i, i.save(dir)
	case err != nil:
		return nil, err
	case i.Cluster != cluster:
		return nil, fmt.Errorf("membership: the data directory belongs to cluster %q, not to %q", i.Cluster, cluster)
	}
	if i.Begun() && len(i.Founders) == 0 { // no node has joined or left
		i.Founders, i.At = i.Nodes(), beginAt
	}
	return i, nil
}

// Read reads who the node of a data directory is, and changes nothing. The error is
// fs.ErrNotExist if the directory is of none.
func Read(dir string) (*Identity, error) {
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		return nil, err
	}
	i := new(Identity)
	if err := json.Unmarshal(text, i); err != nil {
		return nil, fmt.Errorf("membership: %s: %w", FileName, err)
	}
	switch {
	case i.Format != format:
		return nil, fmt.Errorf("membership: %s has format %d, this version knows %d", FileName, i.Format, format)
	case i.Node == 0 || i.Groups < 1:
		return nil, fmt.Errorf("membership: %s is damaged", FileName)
	}
	return i, nil
}

// Begun reports whether a data directory is that of a node whose cluster has begun.
func Begun(dir string) (bool, error) {
	i, err := Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && i.Begun(), err
}

// beginAt is the index at which every log begins.
const beginAt = 1

// Founder reports whether the node is one that the cluster has begun with. Another
// begins with a copy of what the others have.
func (i *Identity) Founder() bool { return slices.Contains(i.Founders, i.Node) }

// newNode makes up a number for a node. Raft keeps the highest two for itself.
func newNode() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // it never fails
		if n := binary.LittleEndian.Uint64(b[:]) >> 1; n != 0 {
			return n
		}
	}
}

// Begun reports whether the node belongs to a cluster that has begun.
func (i *Identity) Begun() bool { return len(i.Members) > 0 }

// Nodes returns the numbers of the members, ascending.
func (i *Identity) Nodes() (nodes []uint64) {
	for _, m := range i.Members {
		nodes = append(nodes, m.Node)
	}
	slices.Sort(nodes)
	return nodes
}

// save writes the file so that a crash leaves the old one or the new one.
func (i *Identity) save(dir string) error {
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, FileName)
	if err := writeSynced(name+".new", append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(name string, text []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

func syncDir(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
