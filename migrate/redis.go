package migrate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cairn/resp"
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
	replies *resp.Reader // of conn
	total   int64
	summary Summary
}

func (r *redis) run(ctx context.Context, a *address) (err error) {
	if r.conn, err = a.dial(ctx, r.options.TLS); err != nil {
		return err
	}
	r.replies = resp.NewReader(r.conn.in)
	defer r.conn.Close()
	defer context.AfterFunc(ctx, func() { r.conn.Close() })()
	if err = r.greet(a); err == nil {
		err = r.size()
	}
	if err == nil {
		err = r.scan(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// greet logs in and chooses the database.
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
	return nil
}

// size asks how many keys the database has.
func (r *redis) size() error {
	size, err := r.ask("DBSIZE")
	r.total = size.Number
	return err
}

// ask sends a command and returns the answer; a refusal is an error.
func (r *redis) ask(command ...string) (resp.Value, error) {
	r.write(command...)
	if err := r.conn.out.Flush(); err != nil {
		return resp.Value{}, err
	}
	reply, err := r.replies.Read()
	if err == nil && reply.Err() != nil {
		err = fmt.Errorf("%s: %w", command[0], reply.Err())
	}
	return reply, err
}

// write appends a command to the output. An error of the connection shows when
// it is flushed.
func (r *redis) write(command ...string) {
	r.conn.out.Write(resp.AppendCommand(r.conn.out.AvailableBuffer(), command...))
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
		parts := reply.Elements
		if len(parts) != 2 {
			return fmt.Errorf("SCAN: %w", errProtocol)
		}
		if err := r.fetch(parts[1].Elements); err != nil {
			return err
		}
		if cursor = string(parts[0].Text); cursor == "0" || cursor == "" {
			return nil
		}
	}
}

// fetch reads the values and lifetimes of keys with one round trip.
func (r *redis) fetch(keys []resp.Value) error {
	for _, key := range keys {
		r.write("PTTL", string(key.Text))
		r.write("GET", string(key.Text))
	}
	if err := r.conn.out.Flush(); err != nil {
		return err
	}
	now := time.Now()
	for _, key := range keys {
		ttl, err := r.replies.Read()
		if err != nil {
			return err
		}
		value, err := r.replies.Read()
		if err != nil {
			return err
		}
		if err := r.record(key.Text, ttl, value, now); err != nil {
			return err
		}
	}
	return nil
}

// record emits the session of a key, of which ttl and value are the answers to
// PTTL and GET.
func (r *redis) record(key []byte, ttl, value resp.Value, now time.Time) error {
	if refusal := value.Err(); refusal != nil {
		if !strings.HasPrefix(refusal.Error(), "WRONGTYPE") {
			return fmt.Errorf("GET: %w", refusal)
		}
		r.summary.skip(&r.options, key, "it is not a string")
		return nil
	}
	switch {
	case ttl.Err() != nil:
		return fmt.Errorf("PTTL: %w", ttl.Err())
	case ttl.Kind != resp.Integer:
		return fmt.Errorf("PTTL: %w", errProtocol)
	case value.Kind != resp.Bulk:
		return fmt.Errorf("GET: %w", errProtocol)
	case ttl.Number == -2 || value.Null:
		r.summary.Gone++
		return nil
	case !session.ValidKey(key):
		r.summary.skip(&r.options, key, fmt.Sprintf("a key has 1 to %d bytes", session.MaxKeyLen))
		return nil
	}
	return r.emit(r.total, &Record{Key: key, Value: value.Text, Expires: after(now, ttl.Number, time.Millisecond)})
}
