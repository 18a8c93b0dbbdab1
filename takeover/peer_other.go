//go:build !linux

package takeover

import (
	"net"
	"time"
)

// peer cannot be identified here, so nobody can take over: a peer that hangs
// could not be killed.
type peer struct{ pid int }

func peerOf(*net.UnixConn) (*peer, error) { return nil, ErrUnsupported }

func (*peer) vet(Manager) error       { return ErrUnsupported }
func (*peer) wait(time.Duration) bool { return false }
func (*peer) kill()                   {}
func (*peer) forget()                 {}
