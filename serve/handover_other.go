//go:build !linux

package serve

import "context"

func (*Server) freezeLoops(context.Context) ([]FrozenConn, error) { return nil, ErrNoHandover }

func (*loop) thaw()    {}
func (*loop) release() {}

// Resume goes on with connections that another process has frozen, which is
// possible on Linux only.
func (s *Server) Resume([]FrozenConn) error { return ErrNoHandover }
