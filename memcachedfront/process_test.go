package memcachedfront_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"cairn/memcachedfront"
	"cairn/serve"
)

// process is a server as one of two processes has it. It is stopped by hand.
type process struct {
	*memcachedfront.Server
	serving sync.WaitGroup
	bound   map[string]net.Listener
}

func newProcess(t *testing.T, change func(*memcachedfront.Options)) *process {
	t.Helper()
	o := memcachedfront.Options{Options: serve.Options{Clock: wallClock{}, Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}}}}
	change(&o)
	if o.Bound == nil {
		o.Bound = map[string]net.Listener{}
		for _, a := range o.Addresses {
			l, _, err := serve.Bind(a)
			if err != nil {
				t.Fatal(err)
			}
			o.Bound[a.String()] = l
		}
	}
	s, err := memcachedfront.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	return &process{Server: s, bound: o.Bound}
}

func (p *process) start() { p.serving.Go(func() { p.Serve(context.Background()) }) }

func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	p.serving.Wait()
}
