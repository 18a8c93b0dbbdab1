package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"

	"cairn/session"
)

// list fills the spool with the source's keys. It does nothing else meanwhile,
// so that the source never has to wait.
func (m *memcached) list() error {
	line, err := m.dump("hash")
	if err == nil && bytes.HasPrefix(line, []byte("CLIENT_ERROR")) {
		line, err = m.dump("all") // before 1.6.9; may list a key twice
	}
	for ; err == nil; line, err = m.dumpLine() {
		if string(line) == "END" {
			return m.keys.rewind()
		}
		if err := m.note(line); err != nil {
			return err
		}
	}
	return err
}

// dump asks for a listing and returns its first line. From 1.6.43 on, memcached
// says OK before that.
func (m *memcached) dump(order string) ([]byte, error) {
	if err := m.conn.send("lru_crawler metadump " + order + "\r\n"); err != nil {
		return nil, err
	}
	line, err := m.dumpLine()
	if err == nil && string(line) == "OK" {
		return m.dumpLine()
	}
	return line, err
}

// dumpLine reads a line of a listing. Those of items end without a return
// character.
func (m *memcached) dumpLine() ([]byte, error) {
	line, err := m.conn.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

var errBusy = errors.New("another listing of its keys is running; try again later")

// note adds the key of a line to the spool.
func (m *memcached) note(line []byte) error {
	field, ok := bytes.CutPrefix(line, []byte("key="))
	switch {
	case bytes.HasPrefix(line, []byte("BUSY")):
		return errBusy
	case !ok:
		return fmt.Errorf("it does not list its keys (lru_crawler metadump): %.100q", line)
	}
	encoded, _, _ := bytes.Cut(field, []byte(" "))
	key, err := url.PathUnescape(string(encoded))
	switch {
	case err != nil:
		m.summary.skip(&m.options, encoded, "its key cannot be decoded")
	case !session.ValidKey([]byte(key)):
		m.summary.skip(&m.options, []byte(key), fmt.Sprintf("a key has 1 to %d bytes", session.MaxKeyLen))
	default:
		return m.keys.add([]byte(key))
	}
	return nil
}
