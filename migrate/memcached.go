package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

var memcachedScheme = scheme{plain: "memcached", secure: "memcacheds", port: "11211"}

// Memcached emits all sessions of the memcached (1.6 or later) at target, with
// their flags and the time they have left: host:port,
// memcached://user:password@host:port, memcacheds://... with TLS, or
// unix:///path. User and password are those of an authfile.
//
// It first lists all keys, without a pause: a listing that waits holds locks of
// the source, and other clients of it wait as well. Then it reads the sessions.
// What is stored meanwhile may be missed, what ends meanwhile is counted.
func Memcached(ctx context.Context, target string, o Options, emit Emit) (Summary, error) {
	m := &memcached{options: o, emit: emit}
	a, err := memcachedScheme.parse(target)
	if err != nil {
		return m.summary, fmt.Errorf("memcached: %w", err)
	}
	if err = m.run(ctx, a); err != nil {
		err = fmt.Errorf("memcached at %v: %w", a, err)
	}
	return m.summary, err
}

// memcached is a migration from one.
type memcached struct {
	options Options
	emit    Emit
	conn    *conn
	keys    *spool
	value   []byte // buffer
	summary Summary
}

func (m *memcached) run(ctx context.Context, a *address) (err error) {
	if m.keys, err = newSpool(); err != nil {
		return err
	}
	defer m.keys.Close()
	if m.conn, err = a.dial(ctx, m.options.TLS); err != nil {
		return err
	}
	defer m.conn.Close()
	defer context.AfterFunc(ctx, func() { m.conn.Close() })()
	err = m.login(a)
	if err == nil {
		err = m.list(ctx)
	}
	if err == nil {
		err = m.read()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// login makes sure that the source answers, and logs in if it asks for that. It
// never logs in unasked: memcached would store the password as an item.
func (m *memcached) login(a *address) error {
	answer, err := m.conn.ask("version")
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("it closes the connection; if it wants SASL or the binary protocol, it cannot list its keys, which an import needs")
	case err != nil:
		return err
	case strings.HasPrefix(answer, "VERSION "):
		return nil
	case !strings.Contains(answer, "unauthenticated"):
		return fmt.Errorf("version: %w: %.100q", errProtocol, answer)
	case !a.hasPassword:
		return errors.New("it requires a login: use memcached://user:password@host:port")
	}
	secret := a.user + " " + a.password
	answer, err = m.conn.ask(fmt.Sprintf("set login 0 0 %d\r\n%s", len(secret), secret))
	if err == nil && answer != "STORED" {
		err = errors.New("it refuses the user or the password")
	}
	return err
}
