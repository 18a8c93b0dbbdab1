package migrate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cairn/resp"
)

// redisLink is the Link to a Redis. A Redis has no flags: those of sessions that are
// stored there are lost.
type redisLink struct{ *redis }

func newRedisLink(c *conn, a *address) (*redisLink, error) {
	r := &redis{conn: c, replies: resp.NewReader(c.in)}
	if err := r.greet(a); err != nil {
		return nil, err
	}
	return &redisLink{r}, nil
}

func (l *redisLink) Within(end time.Time) { l.conn.Within(end) }
func (l *redisLink) Close() error         { return l.conn.Close() }

// Get is Link's. What is not a string is no session, and not there.
func (l *redisLink) Get(keys [][]byte, limit int64, fn func(i int, r *Record)) error {
	for _, key := range keys {
		l.write("PTTL", string(key))
		l.write("GET", string(key))
	}
	if err := l.conn.out.Flush(); err != nil {
		return err
	}
	now := time.Now()
	var refused error
	for i, key := range keys {
		ttl, err := l.replies.Read()
		if err != nil {
			return err
		}
		value, err := l.replies.Read()
		if err != nil {
			return err
		}
		switch refusal := errors.Join(ttl.Err(), value.Err()); {
		case value.Err() != nil && strings.HasPrefix(value.Err().Error(), "WRONGTYPE"), refusal == nil && value.Null:
		case refusal != nil:
			refused = &Refusal{refusal.Error()}
		case ttl.Kind != resp.Integer || value.Kind != resp.Bulk:
			return fmt.Errorf("GET: %w", errProtocol)
		case ttl.Number == -2:
		case int64(len(value.Text)) > limit:
			fn(i, nil)
		default:
			fn(i, &Record{Key: key, Value: value.Text, Expires: after(now, ttl.Number, time.Millisecond)})
		}
	}
	return refused
}

// Put is Link's.
func (l *redisLink) Put(records []Record, refused func(i int, answer string)) error {
	now := time.Now()
	for i := range records {
		r := &records[i]
		switch left := r.Expires.Sub(now).Milliseconds(); {
		case r.Expires.IsZero():
			l.write("SET", string(r.Key), string(r.Value))
		case left > 0:
			l.write("SET", string(r.Key), string(r.Value), "PX", strconv.FormatInt(left, 10))
		default:
			l.write("DEL", string(r.Key))
		}
	}
	return l.answers(len(records), refused)
}

// Delete is Link's.
func (l *redisLink) Delete(keys [][]byte) error {
	for _, key := range keys {
		l.write("DEL", string(key))
	}
	var refused error
	err := l.answers(len(keys), func(_ int, answer string) { refused = &Refusal{answer} })
	if err == nil {
		err = refused
	}
	return err
}

// answers sends the commands and reads an answer to each.
func (l *redisLink) answers(n int, refused func(i int, answer string)) error {
	if err := l.conn.out.Flush(); err != nil {
		return err
	}
	for i := range n {
		reply, err := l.replies.Read()
		if err != nil {
			return err
		}
		if refusal := reply.Err(); refusal != nil {
			refused(i, refusal.Error())
		}
	}
	return nil
}

// Flush is Link's; see Source.CanFlush.
func (l *redisLink) Flush(time.Duration) error {
	return errors.New("a Redis is not flushed: it may have more than sessions")
}
