package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"cairn/session"
)

// list fills the spool with the source's keys. It does nothing else meanwhile,
// so that the source never has to wait.
func (m *memcached) list(ctx context.Context) error {
	if err := m.awaitHashTable(ctx); err != nil {
		return err
	}
	line, err := m.dump(ctx, "hash")
	if err == nil && bytes.HasPrefix(line, []byte("CLIENT_ERROR")) {
		line, err = m.dump(ctx, "all") // before 1.6.9; may list a key twice
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

const (
	// busyFor is how long a source may be busy with another crawl of its keys,
	// such as the one that it begins by itself now and then.
	busyFor = timeout

	// growsFor is how long a hash table that is too small is given to grow. Memcached
	// begins that within a second, unless it was told not to (no_hashexpand).
	growsFor = 10 * time.Second

	// askPause is how long to wait before the source is asked again.
	askPause = 100 * time.Millisecond
)

// dump asks for a listing and returns its first line, when the source is not busy
// any more.
func (m *memcached) dump(ctx context.Context, order string) (line []byte, err error) {
	for range busyFor / askPause {
		line, err = m.dumpNow(order)
		if err != nil || !bytes.HasPrefix(line, []byte("BUSY")) {
			return line, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
	return line, err
}

// pause waits for askPause.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(askPause):
		return nil
	}
}

// awaitHashTable waits until the source's hash table has room for its items. A
// listing that is asked for just when the table begins to grow can stop memcached
// for good (seen with 1.6.18): what makes the table grow holds the lock of the
// thread that lists and waits for all workers to pause, and the worker that was
// asked for the listing waits for that lock. Nothing is answered any more then.
func (m *memcached) awaitHashTable(ctx context.Context) error {
	for range growsFor / askPause {
		grows, err := m.hashTableGrows()
		if err != nil || !grows {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hashTableGrows reports whether the source's hash table grows or is about to:
// memcached has at most three items for two buckets, of which there are two to the
// power of hash_power_level. It is false where the source does not say.
func (m *memcached) hashTableGrows() (bool, error) {
	if err := m.conn.send("stats\r\n"); err != nil {
		return false, err
	}
	var items, power, expanding int64
	for {
		line, err := m.conn.line()
		if err != nil {
			return false, err
		}
		stat, ok := bytes.CutPrefix(line, []byte("STAT "))
		if !ok { // END, or what a source says that has no stats
			return expanding != 0 || 0 < power && power < 62 && items > 3<<power/2, nil
		}
		name, value, _ := bytes.Cut(stat, []byte(" "))
		n, err := parseInt(value)
		if err != nil {
			continue // others are no numbers, or have several words
		}
		switch string(name) {
		case "curr_items":
			items = n
		case "hash_power_level":
			power = n
		case "hash_is_expanding":
			expanding = n
		}
	}
}

// dumpNow asks for a listing and returns its first line. From 1.6.43 on, memcached
// says OK before that.
func (m *memcached) dumpNow(order string) ([]byte, error) {
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
