package httpapi

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/session"
)

// scale is how many sessions TestScale stores: CAIRN_TEST_SESSIONS, or what
// takes seconds; so many that an export which gathers them shows in the heap.
func scale(t *testing.T) int {
	text := os.Getenv("CAIRN_TEST_SESSIONS")
	if text == "" {
		return 40_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestScale lists and exports a real store of many sessions: the first page of
// a listing looks at no more sessions than it shows, and an export needs the
// same memory whatever their number. The times are logged, not judged.
func TestScale(t *testing.T) {
	n := scale(t)
	store := openEngine(t, filepath.Join(t.TempDir(), "store"))
	var b session.Burst
	value := make([]byte, 500)
	for i := 0; i < n; {
		b.Reset(store.Now())
		for end := min(i+5000, n); i < end; i++ {
			*b.Add() = session.Command{
				Op: session.OpSet, Key: fmt.Appendf(nil, "memc.sess.key.%08d", i),
				Value: value, Expiry: b.Now.Add(time.Hour + time.Duration(i%600)*time.Second),
			}
		}
		session.Do(store, &b)
	}
	b = session.Burst{}
	h := start(t, Options{Engine: store})

	begin := time.Now()
	middle := fmt.Sprintf("memc.sess.key.%05d", n/2/1000)
	page := as[adminapi.SessionPage](t, h.do("GET", "/v1/sessions?prefix="+middle, nil).want(t, 200))
	t.Logf("%d sessions: first page of a prefix after %v", n, time.Since(begin))
	if len(page.Sessions) != 100 || page.Examined != 100 || page.NextCursor == "" {
		t.Errorf("the page has %d sessions of %d looked at", len(page.Sessions), page.Examined)
	}

	base := liveHeap()
	begin = time.Now()
	resp, err := http.Get(h.http.URL + "/v1/export?values=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	peak, lines := base, 0
	scanner := bufio.NewScanner(resp.Body)
	for scanner.Scan() {
		if lines++; lines%(n/10) == 1 {
			peak = max(peak, liveHeap())
		}
	}
	t.Logf("%d sessions exported after %v; heap %d KB, at most %d KB", lines, time.Since(begin), base>>10, peak>>10)
	if lines != n || scanner.Err() != nil {
		t.Errorf("%d lines, %v", lines, scanner.Err())
	}
	if peak > base+24<<20 {
		t.Errorf("the heap grew from %d to %d bytes", base, peak)
	}
}

// liveHeap returns the bytes of what is in use.
func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
