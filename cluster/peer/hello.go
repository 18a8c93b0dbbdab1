package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// Version is that of the frames. Nodes of different versions do not talk to each
// other.
const Version = 1

// Hello is what both sides of a connection say first.
type Hello struct {
	Version int    `json:"version"`
	Cluster string `json:"cluster"` // its name
	Node    uint64 `json:"node,string"`
	Address string `json:"address"` // at which others reach the node
	Level   uint8  `json:"level"`   // the highest form of bursts that the node knows
	Program string `json:"program"` // its version, for people

	// Proxy says that the sender is no node but a proxy: it has no replica, and asks
	// for what its clients want.
	Proxy bool `json:"proxy,omitempty"`

	// Stream says, if it is not empty, that the connection is for one purpose of the
	// two nodes, and carries no frames after the hellos.
	Stream string `json:"stream,omitempty"`
}

// ErrSelf is the error of a connection to oneself.
var ErrSelf = errors.New("peer: the connection leads to this node")

// helloTimeout bounds the time until both sides know each other.
const helloTimeout = 3 * time.Second

// greet exchanges hellos.
func greet(c net.Conn, r *bufio.Reader, own Hello) (other Hello, err error) {
	if err := c.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return other, err
	}
	body, err := json.Marshal(own)
	if err != nil {
		return other, err
	}
	if _, err := c.Write(appendFrame(nil, frameHello, body)); err != nil {
		return other, err
	}
	kind, body, err := readFrame(r, maxHello)
	if err != nil {
		return other, err
	}
	if kind != frameHello {
		return other, errFrame
	}
	if err := json.Unmarshal(body, &other); err != nil {
		return other, fmt.Errorf("%w: %v", errFrame, err)
	}
	if err := own.accepts(other); err != nil {
		return other, err
	}
	return other, c.SetDeadline(time.Time{})
}

// name is what an error calls the sender. Nobody dials a proxy or 'cairn doctor', so they
// have no address.
func (h Hello) name() string {
	switch {
	case h.Address != "":
		return "the node at " + h.Address
	case h.Proxy:
		return "a proxy"
	}
	return "the other side"
}

// accepts reports why two nodes do not belong together.
func (h Hello) accepts(other Hello) error {
	switch {
	case other.Version != h.Version:
		return fmt.Errorf("peer: %s speaks version %d, this one %d", other.name(), other.Version, h.Version)
	case other.Cluster != h.Cluster:
		return fmt.Errorf("peer: %s belongs to cluster %q, this one to %q", other.name(), other.Cluster, h.Cluster)
	case other.Node == h.Node:
		return ErrSelf
	case other.Node == 0:
		return errFrame
	}
	return nil
}
