package migrate

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cairn/session"
)

// Memcached reads all sessions of a running memcached 1.6 and gives them to
// emit. It lists the keys with `lru_crawler metadump hash` on one connection
// and reads them with `mg` on another (doc/protocol.txt of memcached). Items
// that come while it lists may be missed; those that were there before are not.
//
// total is the number of items that the server says it has.
func Memcached(ctx context.Context, addr string, emit func(total int64, r *Record) error) (Summary, error) {
	m := &memcached{emit: emit}
	err := m.run(ctx, addr)
	if err != nil {
		err = fmt.Errorf("memcached at %s: %w", addr, err)
	}
	return m.summary, err
}

type memcached struct {
	list, read *conn
	total      int64
	emit       func(total int64, r *Record) error
	summary    Summary

	pending []dumped
	value   []byte
}

// dumped is one line of a metadump.
type dumped struct {
	key     []byte
	expires time.Time
}

func (m *memcached) run(ctx context.Context, addr string) (err error) {
	var dialer net.Dialer
	if m.list, err = dial(ctx, &dialer, addr); err != nil {
		return err
	}
	defer m.list.Close()
	if m.read, err = dial(ctx, &dialer, addr); err != nil {
		return err
	}
	defer m.read.Close()
	if err := m.count(); err != nil {
		return err
	}
	if err := m.list.send("lru_crawler metadump hash\r\n"); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := m.next()
		if err != nil {
			return err
		}
		if done || len(m.pending) == batch {
			if err := m.fetch(); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
	}
}

func (c *conn) send(s string) error {
	if _, err := c.out.WriteString(s); err != nil {
		return err
	}
	return c.out.Flush()
}

// count asks for the number of items.
func (m *memcached) count() error {
	if err := m.read.send("stats\r\n"); err != nil {
		return err
	}
	for {
		line, err := m.read.line()
		if err != nil {
			return err
		}
		if string(line) == "END" {
			return nil
		}
		rest, ok := bytes.CutPrefix(line, []byte("STAT "))
		if !ok {
			return fmt.Errorf("stats: %w: %.100q", errProtocol, line)
		}
		if n, ok := bytes.CutPrefix(rest, []byte("curr_items ")); ok {
			if m.total, err = parseInt(n); err != nil {
				return err
			}
		}
	}
}

// next reads a line of the dump into pending, or reports its end.
func (m *memcached) next() (done bool, err error) {
	line, err := m.list.dumpLine()
	if err != nil {
		return false, err
	}
	if string(line) == "END" {
		return true, nil
	}
	if !bytes.HasPrefix(line, []byte("key=")) {
		return false, fmt.Errorf("lru_crawler metadump: %.100q", line)
	}
	d, err := parseDump(line)
	if err != nil {
		return false, err
	}
	if !session.ValidKey(d.key) {
		m.summary.Unsuitable++
		return false, nil
	}
	m.pending = append(m.pending, d)
	return false, nil
}

// dumpLine reads a line that ends in LF; memcached's dump has no CR.
func (c *conn) dumpLine() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// parseDump reads "key=<percent-encoded> exp=<seconds since 1970, -1: never>"
// and ignores what follows.
func parseDump(line []byte) (d dumped, err error) {
	for field := range strings.FieldsSeq(string(line)) {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "key":
			key, err := url.PathUnescape(value)
			if err != nil {
				return d, fmt.Errorf("%w: key %.300q", errProtocol, value)
			}
			d.key = []byte(key)
		case "exp":
			exp, err := parseInt([]byte(value))
			if err != nil {
				return d, err
			}
			if exp >= 0 {
				d.expires = time.Unix(exp, 0)
			}
		}
	}
	return d, nil
}

// fetch reads the values of the pending keys. Replies come in order.
func (m *memcached) fetch() error {
	for _, d := range m.pending {
		if isPlain(d.key) {
			fmt.Fprintf(m.read.out, "mg %s v f k q\r\n", d.key)
		} else {
			fmt.Fprintf(m.read.out, "mg %s v f k b q\r\n", base64.StdEncoding.EncodeToString(d.key))
		}
	}
	if err := m.read.send("mn\r\n"); err != nil {
		return err
	}
	byKey := make(map[string]time.Time, len(m.pending))
	for _, d := range m.pending {
		byKey[string(d.key)] = d.expires
	}
	for {
		line, err := m.read.line()
		if err != nil {
			return err
		}
		if string(line) == "MN" {
			break
		}
		r, err := m.record(line)
		if err != nil {
			return err
		}
		r.Expires = byKey[string(r.Key)]
		delete(byKey, string(r.Key))
		if err := m.emit(m.total, r); err != nil {
			return err
		}
	}
	m.summary.Gone += int64(len(byKey))
	m.pending = m.pending[:0]
	return nil
}

// isPlain reports whether a text command can carry the key as it is.
func isPlain(key []byte) bool {
	return !slices.ContainsFunc(key, func(b byte) bool { return b <= ' ' || b == 0x7f })
}

// record reads the item whose reply begins with line: VA <size> <flags>*.
func (m *memcached) record(line []byte) (*Record, error) {
	fields := strings.Fields(string(line))
	if len(fields) < 2 || fields[0] != "VA" {
		if fields[0] == "ERROR" {
			return nil, errors.New("it does not know the meta commands; 1.6 or later does")
		}
		return nil, fmt.Errorf("mg: %.100q", line)
	}
	size, err := parseInt([]byte(fields[1]))
	if err != nil {
		return nil, err
	}
	r, err := parseFlags(fields[2:])
	if err != nil {
		return nil, err
	}
	if m.value, err = m.read.block(m.value, size); err != nil {
		return nil, err
	}
	r.Value = m.value
	return r, nil
}

// parseFlags reads the flags of a reply: f<client flags> k<key> b, the last of
// which says that the key is in base64.
func parseFlags(flags []string) (*Record, error) {
	r := &Record{}
	encoded := false
	for _, flag := range flags {
		switch flag[0] {
		case 'f':
			n, err := strconv.ParseUint(flag[1:], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("mg: %w: %.100q", errProtocol, flag)
			}
			r.Flags = uint32(n)
		case 'k':
			r.Key = []byte(flag[1:])
		case 'b':
			encoded = true
		}
	}
	if encoded {
		key, err := base64.StdEncoding.DecodeString(string(r.Key))
		if err != nil {
			return nil, fmt.Errorf("mg: %w: key %.300q", errProtocol, r.Key)
		}
		r.Key = key
	}
	return r, nil
}
