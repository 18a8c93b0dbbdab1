package upstream

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cairn/session"
)

func openTestJournal(t *testing.T, dir string) *journal {
	t.Helper()
	j, err := openJournal(dir, "memcached://a", 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.close() })
	return j
}

func list(names ...string) (keys [][]byte) {
	for _, name := range names {
		keys = append(keys, []byte(name))
	}
	return keys
}

// What is noted is there after a crash, what was told is not, and a line that is cut
// short is none.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	j := openTestJournal(t, dir)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := j.remove(list(fmt.Sprint("k", i), "odd \n\xff")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := j.told(list("k0", "k1", "unknown")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, journalName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, "d azk5"...), 0o600); err != nil {
		t.Fatal(err)
	}
	j = openTestJournal(t, dir)
	if j.count() != 19 || j.has([]byte("k0")) || !j.has([]byte("k2")) || !j.has([]byte("odd \n\xff")) || j.has([]byte("k99")) {
		t.Errorf("%d: %q", j.count(), j.keys())
	}
	if j.since != 1000 || j.ended(session.Never) != "" {
		t.Errorf("since %d, ended %q", j.since, j.ended(session.Never))
	}
	if err := j.flush(5000, 2000, true); err != nil {
		t.Fatal(err)
	}
	if err := j.flush(4000, 3000, true); err != nil { // takes the place of the first
		t.Fatal(err)
	}
	if err := j.flush(9000, 6000, true); err != nil { // that has been
		t.Fatal(err)
	}
	j = openTestJournal(t, dir)
	if at, owed := j.flushOwed(); at != 4000 || !owed || j.ended(3999) != "" || j.ended(4000) != endedByFlush {
		t.Errorf("flushed at %d, owed %v", at, owed)
	}
	if err := j.flushed(); err != nil {
		t.Fatal(err)
	}
	j = openTestJournal(t, dir)
	if at, owed := j.flushOwed(); at != 4000 || owed {
		t.Errorf("flushed at %d, owed %v", at, owed)
	}
	more, err := openJournal(dir, "memcached://b,memcached://a", 7000)
	if err != nil {
		t.Fatal(err)
	}
	defer more.close()
	if more.count() != 19 || more.ended(4000) != endedByFlush || more.since != 1000 {
		t.Error("a move to which a server was added has lost its journal")
	}
	other, err := openJournal(dir, "memcached://c", 7000)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if other.count() != 0 || other.ended(session.Never) != "" || other.since != 7000 {
		t.Error("another move has its journal")
	}
}

// The journal and what is in memory stay small.
func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	j := openTestJournal(t, dir)
	for round := range 6 {
		var keys [][]byte
		for i := range 5000 {
			keys = append(keys, fmt.Appendf(nil, "%d.%d", round, i))
		}
		if err := j.remove(keys); err != nil {
			t.Fatal(err)
		}
		if err := j.told(keys); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, journalName))
	if n := strings.Count(string(data), "\n"); err != nil || n > 25_000 {
		t.Errorf("%d lines, %v", n, err)
	}
	var keys [][]byte
	for i := range maxPending + 1 {
		keys = append(keys, fmt.Append(nil, i))
	}
	if err := j.remove(keys); err != nil {
		t.Fatal(err)
	}
	j = openTestJournal(t, dir)
	if j.count() != maxPending || j.ended(0) != endedByPending {
		t.Errorf("%d, ended %q", j.count(), j.ended(0))
	}
}

func TestKnownIsBounded(t *testing.T) {
	var k known
	for i := range uint64(3 * maxKnown) {
		k.add(i, 10)
	}
	if k.size() > 2*maxKnown || !k.has(3*maxKnown-1, 9) || k.has(3*maxKnown-1, 10) || k.has(0, 9) {
		t.Errorf("%d", k.size())
	}
	var again known
	again.unpack(k.pack(5))
	if again.size() != k.size() || !again.has(3*maxKnown-1, 9) {
		t.Errorf("%d of %d", again.size(), k.size())
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue()
	for i := range maxQueue + 5 {
		q.add(fmt.Sprint(i), false)
		q.add(fmt.Sprint(i), false)
	}
	q.add("must", true)
	if n, dropped := q.figures(); n != maxQueue+1 || dropped != 10 {
		t.Errorf("%d, %d dropped", n, dropped)
	}
}
