//go:build !linux

package serve

// loop would serve many connections from one goroutine; on this platform every
// connection has its own.
type loop struct{}

func newLoops(*Server) ([]*loop, error) { return nil, nil }

func (*loop) run()  {}
func (*loop) stop() {}

func (*Server) acceptForLoops(*listener)  {}
func (*Server) acceptRaw(*listener) error { return nil }
