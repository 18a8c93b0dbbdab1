package upstream

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cairn/session"
)

// journalName is the file in the data directory that has what the old store still
// has to be told, and may not be forgotten.
const journalName = "upstream.journal"

// maxPending is how many sessions may have been removed here and not yet there.
const maxPending = 100_000

// journal remembers, across crashes, which sessions were removed here while the old
// store could not be told, and whether all were. Lines of it are "d KEY" (to be
// deleted), "r KEY" (told), "f TIME" (all are gone from then on), "t" (told of that)
// and "x" (there were too many). A line that is cut short is none.
type journal struct {
	path string
	head string

	// Taken in this order. Only mu is for those who may not wait for a disk.
	syncs sync.Mutex // held while the file is synced or replaced
	io    sync.Mutex // held while the file is written
	mu    sync.Mutex

	file    *os.File // io
	lines   int      // in the file, about; io
	written uint64   // how often the file was; io
	synced  uint64   // how much of that is on the disk; syncs

	pending map[string]struct{} // mu, as is what follows
	flushAt session.Time        // 0: nothing was flushed
	owed    bool                // the old store has not been told of the flush
	full    bool                // there was a session too many
	since   session.Time        // when the move began; never changes
}

// sameMove reports whether two old stores have a server in common: when one was
// removed from the list, or added, the move goes on.
func sameMove(a, b string) bool {
	servers := strings.Split(b, ",")
	return slices.ContainsFunc(strings.Split(a, ","), func(server string) bool { return slices.Contains(servers, server) })
}

// openJournal opens the journal in dir of the move from target. One of a move from
// elsewhere is replaced.
func openJournal(dir, target string, now session.Time) (*journal, error) {
	j := &journal{path: filepath.Join(dir, journalName), pending: map[string]struct{}{}, since: now}
	data, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	first, rest, ok := bytes.Cut(data, []byte("\n"))
	if fields := bytes.SplitN(first, []byte(" "), 4); ok && len(fields) == 4 && string(fields[0]) == "cairn-upstream" && sameMove(string(fields[3]), target) {
		if since, err := strconv.ParseInt(string(fields[2]), 10, 64); err == nil {
			j.since = session.Time(since)
			j.replay(rest)
		}
	}
	j.head = fmt.Sprintf("cairn-upstream 1 %d %s\n", j.since, target)
	return j, j.rewrite()
}

// replay reads the lines behind the first.
func (j *journal) replay(data []byte) {
	for {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			return
		}
		data = rest
		what, argument, _ := bytes.Cut(line, []byte(" "))
		switch string(what) {
		case "d", "r":
			key, err := base64.StdEncoding.DecodeString(string(argument))
			if err != nil || !session.ValidKey(key) {
				continue
			}
			if string(what) == "d" {
				j.pending[string(key)] = struct{}{}
			} else {
				delete(j.pending, string(key))
			}
		case "f":
			if at, err := strconv.ParseInt(string(argument), 10, 64); err == nil {
				j.flushAt, j.owed = session.Time(at), true
			}
		case "t":
			j.owed = false
		case "x":
			j.full = true
		}
	}
}

// rewrite makes the file new, with what counts. syncs and io are held, or nobody else
// knows j.
func (j *journal) rewrite() error {
	temporary := j.path + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	text, lines := j.text()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync()); err == nil {
		err = os.Rename(temporary, j.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(j.path))
	}
	if err != nil {
		f.Close()
		os.Remove(temporary)
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.lines, j.synced = f, lines, j.written
	return nil
}

// text returns what a new file has.
func (j *journal) text() (text string, lines int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	b.WriteString(j.head)
	for key := range j.pending {
		b.WriteString(keyLine("d", key))
	}
	if j.flushAt != 0 {
		fmt.Fprintf(&b, "f %d\n", j.flushAt)
		if !j.owed {
			b.WriteString("t\n")
		}
	}
	if j.full {
		b.WriteString("x\n")
	}
	return b.String(), len(j.pending)
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func keyLine(what, key string) string {
	return what + " " + base64.StdEncoding.EncodeToString([]byte(key)) + "\n"
}

// remove notes that the old store has to be told of the end of these sessions. It is
// on the disk when remove returns, unless there is an error; it counts either way.
func (j *journal) remove(list [][]byte) error {
	j.io.Lock()
	j.mu.Lock()
	var text strings.Builder
	for _, key := range list {
		_, noted := j.pending[string(key)]
		switch {
		case noted:
		case len(j.pending) >= maxPending:
			if !j.full {
				text.WriteString("x\n")
			}
			j.full = true
		default:
			j.pending[string(key)] = struct{}{}
			text.WriteString(keyLine("d", string(key)))
		}
	}
	j.mu.Unlock()
	return j.write(text.String())
}

// flush notes that all sessions of the old store are gone from at on, as remove does.
// A flush that has had its effect at now stays.
func (j *journal) flush(at, now session.Time, tell bool) error {
	j.io.Lock()
	j.mu.Lock()
	if j.flushAt == 0 || j.flushAt > now {
		j.flushAt = max(at, 1)
	}
	j.owed = tell
	text := fmt.Sprintf("f %d\n", j.flushAt)
	if !tell {
		text += "t\n"
	}
	j.mu.Unlock()
	return j.write(text)
}

// write appends lines and waits until they, and all before them, are on the disk. It
// unlocks io.
func (j *journal) write(text string) error {
	var err error
	if text != "" {
		_, err = j.file.WriteString(text)
		j.lines += strings.Count(text, "\n")
		j.written++
	}
	mine := j.written
	j.io.Unlock()
	if err != nil {
		return err
	}
	j.syncs.Lock()
	defer j.syncs.Unlock()
	if j.synced >= mine {
		return nil
	}
	j.io.Lock()
	reached := j.written
	j.io.Unlock()
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.synced = reached
	return nil
}

// told notes that the old store knows of the end of these sessions, flushed that it
// knows of the flush. A crash may make both forgotten: it is told again then.
func (j *journal) told(list [][]byte) error {
	if j.count() == 0 {
		return nil
	}
	j.syncs.Lock()
	defer j.syncs.Unlock()
	j.io.Lock()
	defer j.io.Unlock()
	text, left := j.settle(list)
	if text == "" {
		return nil
	}
	if j.lines += strings.Count(text, "\n"); j.lines > 2*left+10_000 {
		return j.rewrite()
	}
	_, err := j.file.WriteString(text)
	return err
}

// settle takes keys out of pending and returns the lines that say so.
func (j *journal) settle(list [][]byte) (text string, left int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	for _, key := range list {
		if _, ok := j.pending[string(key)]; ok {
			delete(j.pending, string(key))
			b.WriteString(keyLine("r", string(key)))
		}
	}
	return b.String(), len(j.pending)
}

func (j *journal) flushed() error {
	j.io.Lock()
	defer j.io.Unlock()
	j.mu.Lock()
	j.owed = false
	j.mu.Unlock()
	_, err := j.file.WriteString("t\n")
	return err
}

// has reports whether the old store has yet to be told of the end of a session.
func (j *journal) has(key []byte) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, ok := j.pending[string(key)]
	return ok
}

// ended returns why no session of the old store is one any more; "": they are.
func (j *journal) ended(now session.Time) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.flushAt != 0 && j.flushAt <= now:
		return endedByFlush
	case j.full:
		return endedByPending
	}
	return ""
}

// keys returns those that the old store has to be told of.
func (j *journal) keys() (list [][]byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key := range j.pending {
		list = append(list, []byte(key))
	}
	return list
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.pending)
}

// flushOwed reports whether the old store has yet to be told of a flush, and when
// that has its effect.
func (j *journal) flushOwed() (at session.Time, owed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.flushAt, j.owed
}

func (j *journal) close() error {
	j.syncs.Lock()
	defer j.syncs.Unlock()
	j.io.Lock()
	defer j.io.Unlock()
	return errors.Join(j.file.Sync(), j.file.Close())
}
