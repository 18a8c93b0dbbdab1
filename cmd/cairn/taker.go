package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"cairn/history"
	"cairn/processors"
	"cairn/serve"
	"cairn/systemd"
	"cairn/takeover"
)

// takeOver takes the server over that runs on the same data directory. If there
// is none it opens one in the ordinary way. On an error the other goes on, and
// close closes what was opened here.
func (s *server) takeOver(ctx context.Context) error {
	if err := s.checkRuntimeDir(); err != nil {
		return err
	}
	taker, err := takeover.Dial(ctx, takeover.TakerOptions{
		Path:     filepath.Join(s.cfg.DataDir, takeover.SocketName),
		Dialects: []string{serve.StateFormat},
		Version:  version,
	})
	if errors.Is(err, takeover.ErrNobody) {
		s.logger.Info("there is no server to take over")
		return s.open()
	}
	if err != nil {
		return err
	}
	defer taker.Close()
	processors.Begin() // an open store reads its tables' statistics, and would let messages wait
	defer processors.End()
	conns, err := s.receive(taker)
	if err != nil {
		taker.Fail(errors.Join(err, s.store.close()))
		return err
	}
	if err := taker.Opened(); err != nil {
		return err
	}
	if err := systemd.Adopt(systemd.Manager(taker.Manager())); err != nil {
		s.logger.Warn("the service manager cannot be notified", "error", err)
	}
	s.began = history.TookOver
	s.beginUpkeep()
	s.resume(conns)
	s.logger.Info("took the server over", "connections", len(conns), "paused", taker.Paused().Round(time.Millisecond))
	return nil
}

// receive makes everything ready to serve that the other server has. From Receive on
// clients wait.
func (s *server) receive(taker *takeover.Taker) ([]takeover.Conn, error) {
	if err := s.sockets.inherit(taker.Listeners()); err != nil {
		return nil, err
	}
	options, err := s.prepare()
	if err != nil {
		return nil, err
	}
	if err := s.listen(options); err != nil {
		return nil, err
	}
	conns, err := taker.Receive()
	if err != nil {
		return nil, err
	}
	return conns, s.openStore(!taker.Died())
}

// resume goes on with connections. Those whose clients have gone meanwhile are
// none of anybody's business.
func (s *server) resume(conns []takeover.Conn) {
	err := s.front.Resume(convert(conns, func(c takeover.Conn) serve.FrozenConn { return serve.FrozenConn(c) }))
	if err != nil {
		s.logger.Warn("connections could not be resumed", "error", err)
	}
}
