package main

import (
	"context"
	"path/filepath"
	"time"

	"cairn/history"
	"cairn/serve"
	"cairn/systemd"
	"cairn/takeover"
)

// httpGrace is how long HTTP requests in flight, such as a backup, may go on
// when the server is given away. Memcached clients are served meanwhile.
const httpGrace = 500 * time.Millisecond

// await serves until ctx ends or another process has taken the server over,
// which it reports. An error says that the store is lost.
func (s *server) await(ctx context.Context) (given bool, err error) {
	manager, err := systemd.Current()
	if err != nil {
		s.logger.Warn("the service manager's settings are not valid", "error", err)
	}
	if err := s.checkRuntimeDir(); err != nil {
		s.logger.Warn("no other process can take this server over", "error", err)
		<-ctx.Done()
		return false, nil
	}
	giver, err := takeover.NewGiver(takeover.GiverOptions{
		Path:    filepath.Join(s.cfg.DataDir, takeover.SocketName),
		Dialect: serve.StateFormat,
		Manager: takeover.Manager(manager),
		Logger:  s.logger,
	})
	if err != nil {
		s.logger.Warn("no other process can take this server over", "error", err)
		<-ctx.Done()
		return false, nil
	}
	return giver.Serve(ctx, estate{s})
}

// estate is the server as far as it can be given away: the takeover.Server.
type estate struct{ *server }

func (e estate) Listeners() []takeover.Listener { return e.sockets.forTaker() }

func (e estate) Prepare(ctx context.Context) error {
	if err := e.store.lendable(); err != nil {
		return err
	}
	return e.store.quiesce(ctx)
}

func (e estate) Freeze(ctx context.Context) ([]takeover.Conn, error) {
	if e.admin != nil {
		grace, cancel := context.WithTimeout(ctx, httpGrace)
		e.admin.suspend(grace)
		cancel()
	}
	conns, err := e.front.Freeze(ctx)
	if err != nil {
		e.goOn()
		return nil, err
	}
	return convert(conns, func(c serve.FrozenConn) takeover.Conn { return takeover.Conn(c) }), nil
}

func (e estate) Thaw() {
	e.front.Thaw()
	e.goOn()
}

// goOn lets everything but the memcached front end go on.
func (e estate) goOn() {
	e.store.resume()
	if e.admin != nil {
		e.admin.serve()
	}
}

func (e estate) CloseStore() error {
	if e.history != nil {
		e.history.Lend()
	}
	e.endUpkeep()
	return e.store.lend()
}

func (e estate) ReopenStore() error {
	err := e.store.open(false)
	if err == nil {
		e.beginUpkeep()
		if e.history != nil {
			e.history.Start(history.WentOn)
		}
	}
	return err
}

func (e estate) Release(pid int) {
	e.front.Release()
	e.notify(systemd.MainPID(pid))
}

// leave ends a server that another process has taken over.
func (s *server) leave() error {
	err := s.front.Shutdown(context.Background())
	s.sockets.close()
	s.logger.Info("another process serves now")
	return err
}
