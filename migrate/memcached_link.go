package migrate

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// memcachedLink is the Link to a memcached.
type memcachedLink struct {
	*conn
	value []byte // buffer
}

func newMemcachedLink(c *conn, a *address) (*memcachedLink, error) {
	m := memcached{conn: c}
	if err := m.login(a); err != nil {
		return nil, err
	}
	return &memcachedLink{conn: c}, nil
}

// name returns how a key is written in a request, and the flag that says so.
func name(key []byte) (written, flag string) {
	if isPlain(key) {
		return string(key), ""
	}
	return base64.StdEncoding.EncodeToString(key), " b"
}

// finish sends the requests and calls fn with each line that comes back, up to the
// answer to a last one.
func (l *memcachedLink) finish(fn func(line []byte) error) error {
	if err := l.send("mn\r\n"); err != nil {
		return err
	}
	var refused error
	for {
		line, err := l.line()
		if err != nil {
			return err
		}
		switch {
		case string(line) == "MN":
			return refused
		case string(line) == "ERROR":
			return errNoMeta
		case isRefusal(line):
			refused = &Refusal{string(line)}
		default:
			if err := fn(line); err != nil {
				return err
			}
		}
	}
}

func isRefusal(line []byte) bool {
	return bytes.HasPrefix(line, []byte("CLIENT_ERROR")) || bytes.HasPrefix(line, []byte("SERVER_ERROR"))
}

// Get is Link's. Answers are told apart by their opaques. What was invalidated at
// the source is not there.
func (l *memcachedLink) Get(keys [][]byte, limit int64, fn func(i int, r *Record)) error {
	for i, key := range keys {
		written, flag := name(key)
		fmt.Fprintf(l.out, "mg %s v f t q O%d%s\r\n", written, i, flag)
	}
	return l.finish(func(line []byte) error {
		fields := bytes.Split(line, []byte(" "))
		if len(fields) < 2 || string(fields[0]) != "VA" {
			return fmt.Errorf("mg: %w: %.100q", errProtocol, line)
		}
		size, err := parseInt(fields[1])
		if err != nil {
			return err
		}
		h, err := parseHit(fields[2:])
		if err != nil {
			return err
		}
		if h.opaque < 0 || h.opaque >= len(keys) || size < 0 {
			return fmt.Errorf("mg: %w: an answer without a request: %.100q", errProtocol, line)
		}
		stale := false
		for _, f := range fields[2:] {
			stale = stale || string(f) == "X"
		}
		if size > limit {
			_, err := io.CopyN(io.Discard, l.in, size+2)
			if err == nil {
				fn(h.opaque, nil)
			}
			return err
		}
		if l.value, err = l.block(l.value, size); err != nil {
			return err
		}
		h.Key, h.Value = keys[h.opaque], l.value
		switch {
		case h.flags > math.MaxUint32:
			fn(h.opaque, nil)
		case !stale:
			fn(h.opaque, &h.Record)
		}
		return nil
	})
}

// longestRelative is the longest time in seconds that memcached takes as one; more is
// an instant.
const longestRelative = 30 * 24 * 60 * 60

// lifetime returns how an expiry is written; "" if it has passed.
func lifetime(expires, now time.Time) string {
	if expires.IsZero() {
		return "0"
	}
	left := expires.Sub(now)
	if left <= 0 {
		return ""
	}
	seconds := int64((left + time.Second - 1) / time.Second)
	if seconds > longestRelative {
		seconds = expires.Unix()
	}
	return strconv.FormatInt(seconds, 10)
}

// Put is Link's.
func (l *memcachedLink) Put(records []Record, refused func(i int, answer string)) error {
	now := time.Now()
	var sent []int
	for i := range records {
		r := &records[i]
		life := lifetime(r.Expires, now)
		if life == "" {
			life = "-1"
		}
		written, flag := name(r.Key)
		fmt.Fprintf(l.out, "ms %s %d F%d T%s%s\r\n", written, len(r.Value), r.Flags, life, flag)
		l.out.Write(r.Value)
		l.out.WriteString("\r\n")
		sent = append(sent, i)
	}
	if err := l.out.Flush(); err != nil {
		return err
	}
	for _, i := range sent {
		line, err := l.line()
		switch {
		case err != nil:
			return err
		case string(line) == "ERROR":
			return errNoMeta
		case isRefusal(line), string(line) == "NS":
			refused(i, string(line))
		case !bytes.HasPrefix(line, []byte("HD")):
			return fmt.Errorf("ms: %w: %.100q", errProtocol, line)
		}
	}
	return nil
}

// Delete is Link's.
func (l *memcachedLink) Delete(keys [][]byte) error {
	for _, key := range keys {
		written, flag := name(key)
		fmt.Fprintf(l.out, "md %s q%s\r\n", written, flag)
	}
	return l.finish(func(line []byte) error {
		if string(line) == "NF" || bytes.HasPrefix(line, []byte("HD")) {
			return nil
		}
		return fmt.Errorf("md: %w: %.100q", errProtocol, line)
	})
}

// Flush is Link's.
func (l *memcachedLink) Flush(after time.Duration) error {
	answer, err := l.ask(fmt.Sprintf("flush_all %d", (max(after, 0)+time.Second-1)/time.Second))
	switch {
	case err != nil:
		return err
	case isRefusal([]byte(answer)):
		return &Refusal{answer}
	case answer != "OK":
		return fmt.Errorf("flush_all: %w: %.100q", errProtocol, answer)
	}
	return nil
}
