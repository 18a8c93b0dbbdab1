package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/adminapi"
)

// TestPHPLiveMove moves a PHP application from memcached to Cairn and back while its
// visitors go on, as docs/migration.md says. Each visitor's session counts its
// requests, so that a session that is lost, or older than it was, shows; and who has
// logged out counts from one again, wherever the session was.
func TestPHPLiveMove(t *testing.T) {
	t.Parallel()
	need(t, "php", "memcached")
	old := startOldServers(t, 1)
	m := startMove(t, old, "--sessions", "php")
	m.from(startShared(t, old.asOne()).url, startShared(t, m.cairn).url)

	idle := m.visitors(4) // come again when the application is on Cairn
	absent := m.visitors(4)
	leaving := m.visitors(4)
	m.each(idle, func(v *moving) { v.count() })
	m.each(absent, func(v *moving) { v.count() })
	m.each(leaving, func(v *moving) { v.count() })

	busy := m.visitors(6)
	stop := m.keepBusy(busy)
	m.awaitRequests(300)
	m.url.Store(&m.after)
	m.awaitRequests(300)
	m.each(idle, func(v *moving) { v.count() })
	m.each(leaving, func(v *moving) { v.logout() }) // of sessions that only memcached has
	m.each(m.visitors(4), func(v *moving) {
		v.count()
		v.logout()
		leaving = append(leaving, v)
	})
	fresh := m.visitors(4)
	m.each(fresh, func(v *moving) { v.count() })
	m.awaitRequests(300)

	m.gate.Lock() // requests wait for as long as changes are on their way
	m.awaitCopied()
	m.url.Store(&m.before)
	m.gate.Unlock()
	m.awaitRequests(300)
	stop()
	for _, group := range [][]*moving{idle, absent, fresh, busy, leaving} {
		m.each(group, func(v *moving) { v.count() })
	}
	u := m.status()
	if u.Errors != 0 || u.RemovedLater != 0 || u.Dropped != 0 || u.Refused != 0 || u.Hits == 0 || u.Copied == 0 {
		t.Errorf("%+v", u)
	}
	t.Logf("%d requests, %d sessions fetched, %d changes copied, %d removals", m.requests.Load(), u.Hits, u.Copied, u.Removed)
}

// What several servers have is moved and can be taken back, however their clients
// choose among them: PHP's sessions by ketama, Django's with pymemcache by rendezvous.
func TestLiveMoveFromSeveral(t *testing.T) {
	for name, start := range map[string]func(*testing.T, *server) string{
		"PHP": func(t *testing.T, s *server) string {
			need(t, "php")
			return startShared(t, s).url
		},
		"Django": func(t *testing.T, s *server) string {
			needModule(t, "pymemcache")
			return startDjango(t, s, "PyMemcacheCache").start(long)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, "memcached")
			old := startOldServers(t, 3)
			m := startMove(t, old)
			m.from(start(t, old.asOne()), start(t, m.cairn))
			all := m.visitors(30)
			m.each(all[:20], (*moving).count)
			if old.used() < 2 {
				t.Error("the sessions are all at one server")
			}
			m.url.Store(&m.after)
			m.each(all[10:], (*moving).count)
			m.awaitCopied()
			m.url.Store(&m.before)
			m.each(all, (*moving).count)
		})
	}
}

// oldServers are the memcacheds of an application.
type oldServers []*server

func startOldServers(t *testing.T, n int) (all oldServers) {
	t.Helper()
	for range n {
		s := &server{t: t, addr: freeAddress(t)}
		_, port, _ := net.SplitHostPort(s.addr)
		s.process = startProcess(t, nil, "memcached", "-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0")
		s.process.awaitPort(s.addr)
		all = append(all, s)
	}
	return all
}

// asOne is what clients are told of the servers.
func (all oldServers) asOne() *server {
	return &server{t: all[0].t, addr: all.list("")}
}

// list returns the addresses, each after prefix.
func (all oldServers) list(prefix string) string {
	var list []string
	for _, s := range all {
		list = append(list, prefix+s.addr)
	}
	return strings.Join(list, ",")
}

// used returns how many of the servers have something.
func (all oldServers) used() (n int) {
	for _, s := range all {
		if !strings.Contains(s.text("stats\r\n"), "STAT curr_items 0\r\n") {
			n++
		}
	}
	return n
}

// startMove starts a Cairn that sessions are moved to.
func startMove(t *testing.T, old oldServers, flags ...string) *move {
	t.Helper()
	m := &move{t: t, admin: freeAddress(t)}
	m.cairn = startServer(t, append([]string{"--upstream", old.list("memcached://"), "--mirror", "--http-listen", m.admin}, flags...)...)
	return m
}

// from says where the application is on the old store and on the new one. It begins
// on the old.
func (m *move) from(before, after string) {
	m.before, m.after = before, after
	m.url.Store(&m.before)
}

// move is an application on its way.
type move struct {
	t             *testing.T
	cairn         *server
	admin         string // of cairn
	before, after string
	url           atomic.Pointer[string] // where requests go
	gate          sync.RWMutex           // held by requests, and by who lets them wait
	requests      atomic.Int64
}

// moving is a visitor who knows how often it was here. It sends one request at a time.
type moving struct {
	*move
	mu sync.Mutex
	visitor
	n int
}

func (m *move) visitors(n int) (list []*moving) {
	for range n {
		list = append(list, &moving{move: m, visitor: newVisitor(m.t)})
	}
	return list
}

// each lets every visitor do something, one after the other.
func (m *move) each(list []*moving, do func(*moving)) {
	m.t.Helper()
	for _, v := range list {
		do(v)
	}
}

// ask sends one request to where the application is.
func (v *moving) ask(query string) string {
	v.gate.RLock()
	defer v.gate.RUnlock()
	v.requests.Add(1)
	return v.get(*v.url.Load() + query)
}

// count makes a request, which must find the session as the one before left it.
func (v *moving) count() {
	v.move.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.n++
	if got := v.ask(""); got != strconv.Itoa(v.n) {
		v.move.t.Errorf("request %d of a visitor counts %q", v.n, got)
		v.n, _ = strconv.Atoi(got)
	}
}

// logout ends the session.
func (v *moving) logout() {
	v.move.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.n = 0
	if got := v.ask("?do=logout"); got != "bye" {
		v.move.t.Errorf("logout: %q", got)
	}
}

// keepBusy lets visitors come again and again, and log out now and then, until stop
// is called.
func (m *move) keepBusy(list []*moving) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for i, v := range list {
		all.Go(func() {
			for n := i; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				if v.count(); n%7 == 0 {
					v.logout()
				}
			}
		})
	}
	return func() {
		close(end)
		all.Wait()
	}
}

// awaitRequests waits until there were n more.
func (m *move) awaitRequests(n int64) {
	m.t.Helper()
	n += m.requests.Load()
	m.await(fmt.Sprintf("%d requests", n), func() bool { return m.requests.Load() >= n })
}

// awaitCopied waits until memcached has every change.
func (m *move) awaitCopied() {
	m.t.Helper()
	m.await("changes are copied", func() bool {
		u := m.status()
		return u.Queue == 0 && u.PendingRemovals == 0
	})
}

func (m *move) await(what string, holds func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("in vain: %s", what)
		}
	}
}

func (m *move) status() (u adminapi.Upstream) {
	m.t.Helper()
	reply, err := http.Get("http://" + m.admin + "/v1/upstream")
	if err != nil {
		m.t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err == nil {
		err = json.Unmarshal(body, &u)
	}
	if err != nil {
		m.t.Fatalf("%v: %s", err, body)
	}
	return u
}
