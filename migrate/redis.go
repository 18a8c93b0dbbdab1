package migrate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cairn/session"
)

var redisScheme = scheme{plain: "redis", secure: "rediss", port: "6379", parameters: []string{"db"}}

// Redis emits all strings of the Redis at target with the time they have left:
// host:port, redis://user:password@host:port/database, rediss://... with TLS, or
// unix:///path. The database may also stand behind it as ?db=N. Keys of other
// types are counted as unsuitable; of a Redis Cluster, each master has a share.
func Redis(ctx context.Context, target string, o Options, emit Emit) (Summary, error) {
	r := &redis{options: o, emit: emit}
	a, err := redisScheme.parse(target)
	if err != nil {
		return r.summary, fmt.Errorf("redis: %w", err)
	}
	if err = r.run(ctx, a); err != nil {
		err = fmt.Errorf("redis at %v: %w", a, err)
	}
	return r.summary, err
}

// redis is a migration from one.
type redis struct {
	options Options
	emit    Emit
	conn    *conn
	total   int64
	summary Summary
}

func (r *redis) run(ctx context.Context, a *address) (err error) {
	if r.conn, err = a.dial(ctx, r.options.TLS); err != nil {
		return err
	}
	defer r.conn.Close()
	defer context.AfterFunc(ctx, func() { r.conn.Close() })()
	if err = r.greet(a); err == nil {
		err = r.scan(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// greet logs in, chooses the database and asks how many keys it has.
func (r *redis) greet(a *address) error {
	if a.hasPassword {
		auth := []string{"AUTH", a.password}
		if a.user != "" {
			auth = []string{"AUTH", a.user, a.password}
		}
		if _, err := r.ask(auth...); err != nil {
			return err
		}
	}
	database := a.path
	if a.query.Has("db") {
		database = a.query.Get("db")
	}
	if database != "" {
		if _, err := r.ask("SELECT", database); err != nil {
			return err
		}
	}
	size, err := r.ask("DBSIZE")
	r.total, _ = size.(int64)
	return err
}

// scan goes through all keys. SCAN may give a key twice; storing it twice does
// no harm.
func (r *redis) scan(ctx context.Context) error {
	for cursor := "0"; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		command := []string{"SCAN", cursor, "COUNT", strconv.Itoa(batch)}
		if r.options.Match != "" {
			command = append(command, "MATCH", r.options.Match)
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

// record emits the session of a key, of which ttl and value are the answers to
// PTTL and GET.
func (r *redis) record(key []byte, ttl, value any, now time.Time) error {
	if refused, ok := value.(redisError); ok {
		if !strings.HasPrefix(string(refused), "WRONGTYPE") {
			return fmt.Errorf("GET: %w", refused)
		}
		r.summary.skip(&r.options, key, "it is not a string")
		return nil
	}
	left, ok := ttl.(int64)
	if !ok {
		return fmt.Errorf("PTTL: %v", ttl)
	}
	data, ok := value.([]byte)
	switch {
	case !ok && value != nil:
		return fmt.Errorf("GET: %w", errProtocol)
	case left == -2 || !ok:
		r.summary.Gone++
		return nil
	case !session.ValidKey(key):
		r.summary.skip(&r.options, key, fmt.Sprintf("a key has 1 to %d bytes", session.MaxKeyLen))
		return nil
	}
	return r.emit(r.total, &Record{Key: key, Value: data, Expires: after(now, left, time.Millisecond)})
}
