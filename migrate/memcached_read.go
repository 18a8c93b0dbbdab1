package migrate

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// atOnce is how many sessions are asked for at a time. A thread of memcached serves
// them in one go, and its other clients wait for so long.
const atOnce = 16

// read emits the sessions whose keys are in the spool.
func (m *memcached) read() error {
	for {
		keys, err := m.keys.next(atOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := m.fetch(keys); err != nil {
			return err
		}
	}
}

// fetch emits the sessions with these keys. Answers are told apart by their
// opaques: a key that comes back is never looked at.
func (m *memcached) fetch(keys [][]byte) error {
	for i, key := range keys {
		m.request(key, i, " q")
	}
	open := slices.Clone(keys) // nil once answered
	refused := ""
	err := m.answers(func(line []byte) error {
		if !bytes.HasPrefix(line, []byte("VA ")) {
			refused = string(line) // of which key, it does not say
			return checkRefusal(line)
		}
		return m.found(line, open)
	})
	if err != nil || refused == "" {
		m.summary.Gone += count(open)
		return err
	}
	for _, key := range open {
		if key == nil {
			continue
		}
		if err := m.fetchAlone(key); err != nil {
			return err
		}
	}
	return nil
}

// fetchAlone is fetch for one key, so that a refusal is known to be its.
func (m *memcached) fetchAlone(key []byte) error {
	m.request(key, 0, "")
	return m.answers(func(line []byte) error {
		switch {
		case bytes.HasPrefix(line, []byte("VA ")):
			return m.found(line, [][]byte{key})
		case string(line) == "EN":
			m.summary.Gone++
			return nil
		}
		m.summary.skip(&m.options, key, fmt.Sprintf("memcached says %q", line))
		return checkRefusal(line)
	})
}

// request asks for the session of key: value, flags, seconds left, opaque.
func (m *memcached) request(key []byte, opaque int, more string) {
	if isPlain(key) {
		fmt.Fprintf(m.conn.out, "mg %s v f t O%d%s\r\n", key, opaque, more)
	} else {
		fmt.Fprintf(m.conn.out, "mg %s v f t b O%d%s\r\n", base64.StdEncoding.EncodeToString(key), opaque, more)
	}
}

// isPlain reports whether key can be in a request as it is.
func isPlain(key []byte) bool {
	return !slices.ContainsFunc(key, func(b byte) bool { return b <= ' ' || b == 0x7f })
}

// answers sends the requests and calls fn with each line that comes back.
func (m *memcached) answers(fn func(line []byte) error) error {
	if err := m.conn.send("mn\r\n"); err != nil {
		return err
	}
	for {
		line, err := m.conn.line()
		if err != nil {
			return err
		}
		if string(line) == "MN" {
			return nil
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}

var errNoMeta = errors.New("it does not know the meta commands; 1.6 or later does")

// checkRefusal returns the error that ends a migration, unless the line is a
// refusal of one request.
func checkRefusal(line []byte) error {
	switch {
	case bytes.HasPrefix(line, []byte("CLIENT_ERROR")), bytes.HasPrefix(line, []byte("SERVER_ERROR")):
		return nil
	case string(line) == "ERROR":
		return errNoMeta
	}
	return fmt.Errorf("mg: %w: %.100q", errProtocol, line)
}

// found emits the session whose answer begins with line, and takes its key out of
// open.
func (m *memcached) found(line []byte, open [][]byte) error {
	fields := bytes.Split(line, []byte(" "))
	size, err := parseInt(fields[1])
	if err != nil {
		return err
	}
	h, err := parseHit(fields[2:])
	if err != nil {
		return err
	}
	if h.opaque < 0 || h.opaque >= len(open) || open[h.opaque] == nil {
		return fmt.Errorf("mg: %w: an answer without a request: %.100q", errProtocol, line)
	}
	if m.value, err = m.conn.block(m.value, size); err != nil {
		return err
	}
	h.Key, h.Value = open[h.opaque], m.value
	open[h.opaque] = nil
	if h.flags > math.MaxUint32 {
		m.summary.skip(&m.options, h.Key, "its flags are longer than 32 bits")
		return nil
	}
	return m.emit(m.keys.n, &h.Record)
}

// hit is an answer with a session; its flags may be too long for one.
type hit struct {
	Record
	flags  uint64
	opaque int // -1: none
}

// parseHit reads the flags of an answer.
func parseHit(flags [][]byte) (h hit, err error) {
	h.opaque = -1
	for _, flag := range flags {
		if len(flag) == 0 {
			continue
		}
		value := string(flag[1:])
		switch flag[0] {
		case 'f':
			h.flags, err = strconv.ParseUint(value, 10, 64)
			h.Flags = uint32(h.flags)
		case 't':
			var left int64
			left, err = strconv.ParseInt(value, 10, 64)
			h.Expires = after(time.Now(), left, time.Second)
		case 'O':
			h.opaque, err = strconv.Atoi(value)
		}
		if err != nil {
			return h, fmt.Errorf("mg: %w: %.100q", errProtocol, flag)
		}
	}
	return h, nil
}

// count returns how many keys are not nil.
func count(keys [][]byte) (n int64) {
	for _, key := range keys {
		if key != nil {
			n++
		}
	}
	return n
}
