package migrate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cairn/session"
)

// Redis reads all string keys of one database of a Redis, or of a server that
// speaks its protocol, and gives them to emit. target is host:port or a URL:
// redis://[user][:password]@host[:port][/database], or rediss:// for TLS. If
// match is not empty, only keys that match that glob pattern are read.
//
// total is the number of keys that the server says it has. Reading with SCAN,
// GET and PTTL does not block the server; GET does count as an access there.
func Redis(ctx context.Context, target, match string, emit func(total int64, r *Record) error) (Summary, error) {
	r := &redis{match: match, emit: emit}
	err := r.run(ctx, target)
	if err != nil {
		err = fmt.Errorf("redis: %w", err)
	}
	return r.summary, err
}

type redis struct {
	conn    *conn
	total   int64
	match   string
	emit    func(total int64, r *Record) error
	summary Summary
}

func (r *redis) run(ctx context.Context, target string) error {
	u, err := parseRedisURL(target)
	if err != nil {
		return err
	}
	if err := r.connect(ctx, u); err != nil {
		return err
	}
	defer r.conn.Close()
	size, err := r.ask("DBSIZE")
	if err != nil {
		return err
	}
	r.total, _ = size.(int64)
	return r.scan(ctx)
}

// parseRedisURL also takes host:port.
func parseRedisURL(target string) (*url.URL, error) {
	if !strings.Contains(target, "://") {
		target = "redis://" + target
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("the address is no valid URL") // err may show the password
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil, fmt.Errorf("%s:// is no address of a Redis", u.Scheme)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "6379")
	}
	return u, nil
}

func (r *redis) connect(ctx context.Context, u *url.URL) (err error) {
	if u.Scheme == "rediss" {
		r.conn, err = dial(ctx, &tls.Dialer{Config: &tls.Config{ServerName: u.Hostname()}}, u.Host)
	} else {
		r.conn, err = dial(ctx, &net.Dialer{}, u.Host)
	}
	if err != nil {
		return err
	}
	if err := r.greet(u); err != nil {
		return errors.Join(err, r.conn.Close())
	}
	return nil
}

// greet authenticates and chooses the database.
func (r *redis) greet(u *url.URL) error {
	if password, ok := u.User.Password(); ok {
		auth := []string{"AUTH", password}
		if name := u.User.Username(); name != "" {
			auth = []string{"AUTH", name, password}
		}
		if _, err := r.ask(auth...); err != nil {
			return err
		}
	}
	if database := strings.Trim(u.Path, "/"); database != "" {
		if _, err := r.ask("SELECT", database); err != nil {
			return err
		}
	}
	return nil
}

// scan goes through all keys. SCAN may give a key twice; storing it twice does
// no harm.
func (r *redis) scan(ctx context.Context) error {
	for cursor := "0"; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		command := []string{"SCAN", cursor, "COUNT", strconv.Itoa(batch)}
		if r.match != "" {
			command = append(command, "MATCH", r.match)
		}
		reply, err := r.ask(command...)
		if err != nil {
			return err
		}
		parts, _ := reply.([]any)
		if len(parts) != 2 {
			return fmt.Errorf("SCAN: %w", errProtocol)
		}
		next, _ := parts[0].([]byte)
		keys, _ := parts[1].([]any)
		if err := r.fetch(keys); err != nil {
			return err
		}
		if cursor = string(next); cursor == "0" || cursor == "" {
			return nil
		}
	}
}

// fetch reads the values and lifetimes of keys with one round trip.
func (r *redis) fetch(keys []any) error {
	for _, key := range keys {
		key, _ := key.([]byte)
		r.write("PTTL", string(key))
		r.write("GET", string(key))
	}
	if err := r.conn.out.Flush(); err != nil {
		return err
	}
	now := time.Now()
	for _, key := range keys {
		key, _ := key.([]byte)
		ttl, err := r.read()
		if err != nil {
			return err
		}
		value, err := r.read()
		if err != nil {
			return err
		}
		if err := r.record(key, ttl, value, now); err != nil {
			return err
		}
	}
	return nil
}

// record emits one key if it is a session.
func (r *redis) record(key []byte, ttl, value any, now time.Time) error {
	ms, ok := ttl.(int64)
	if !ok {
		return fmt.Errorf("PTTL: %v", ttl)
	}
	if ms == -2 || value == nil {
		r.summary.Gone++
		return nil
	}
	data, isString := value.([]byte)
	if !isString || !session.ValidKey(key) {
		r.summary.Unsuitable++
		return nil
	}
	rec := &Record{Key: key, Value: data}
	if ms >= 0 {
		rec.Expires = now.Add(time.Duration(ms) * time.Millisecond)
	}
	return r.emit(r.total, rec)
}
