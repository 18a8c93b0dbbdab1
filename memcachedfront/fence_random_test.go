package memcachedfront

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cairn/session"
)

// fenceOracle says what clients of fenceRules hear, by names for sessions instead
// of versions: each one that begins has a number of its own.
type fenceOracle struct {
	now   session.Time
	last  int
	alive map[string]oracleSession
	seen  map[[2]string]oracleSight // by scope and key
}

type oracleSession struct {
	number int
	value  string
	began  session.Time
	expiry session.Time
}

type oracleSight struct {
	number int
	until  session.Time
}

// oracleLimit is the absolute lifetime of keys that begin with c.
const oracleLimit = 100 * time.Second

// ofPeer reports whether what has seen the key are all connections of a host.
func ofPeer(key string) bool { return key[0] == 'p' || key[0] == 'n' }

// scope is who has seen what a connection has seen of a key.
func (o *fenceOracle) scope(conn, key string) [2]string {
	if ofPeer(key) {
		conn = conn[:1]
	}
	return [2]string{conn, key}
}

func (o *fenceOracle) find(key string) (oracleSession, bool) {
	s, ok := o.alive[key]
	if ok && s.expiry <= o.now {
		delete(o.alive, key)
		return s, false
	}
	return s, ok
}

// see notes that conn has seen the session s, which is under key.
func (o *fenceOracle) see(conn, key string, s oracleSession) {
	lasts := 60 * time.Second
	if key[0] == 'h' {
		lasts = 10 * time.Second
	}
	until := o.now.Add(lasts)
	if final := key[0] == 'c' && s.expiry == s.began.Add(oracleLimit); !final || s.expiry <= o.now {
		until = min(until, s.expiry)
	}
	sight := o.seen[o.scope(conn, key)]
	if ofPeer(key) && (until <= o.now || sight.until > o.now && sight.number > s.number) {
		return
	}
	o.seen[o.scope(conn, key)] = oracleSight{s.number, until}
}

// store is a set, or an add, of a value that lives for ttl.
func (o *fenceOracle) store(conn, key, value string, ttl time.Duration, add bool) string {
	s, found := o.find(key)
	sight := o.seen[o.scope(conn, key)]
	switch {
	case key[0] != 'o' && sight.until > o.now && (!found || s.number != sight.number) && (!add || ofPeer(key)):
		if add || key[0] == 'h' {
			return "NOT_STORED"
		}
		return "STORED"
	case add && found:
		o.see(conn, key, s)
		return "NOT_STORED"
	case !found:
		o.last++
		s = oracleSession{number: o.last, began: o.now}
	}
	s.value = value
	o.renew(conn, key, s, ttl)
	return "STORED"
}

// renew lets a session that conn has stored or touched live for ttl from now on,
// within the absolute limit of its rule.
func (o *fenceOracle) renew(conn, key string, s oracleSession, ttl time.Duration) {
	s.expiry = o.now.Add(ttl)
	if key[0] == 'c' {
		s.expiry = min(s.expiry, s.began.Add(oracleLimit))
	}
	o.alive[key] = s
	o.see(conn, key, s)
}

func (o *fenceOracle) get(conn, key string) string {
	s, found := o.find(key)
	if !found {
		o.miss(conn, key)
		return "END"
	}
	o.see(conn, key, s)
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND", key, len(s.value), s.value)
}

func (o *fenceOracle) touch(conn, key string, ttl time.Duration) string {
	s, found := o.find(key)
	if !found {
		o.miss(conn, key)
		return "NOT_FOUND"
	}
	o.renew(conn, key, s, ttl)
	return "TOUCHED"
}

// miss notes that conn was told that there is nothing under key.
func (o *fenceOracle) miss(conn, key string) {
	if key[0] != 'n' {
		delete(o.seen, o.scope(conn, key))
	}
}

func (o *fenceOracle) remove(conn, key string) string {
	_, found := o.find(key)
	delete(o.alive, key)
	switch {
	case !found:
		o.miss(conn, key)
		return "NOT_FOUND"
	case !ofPeer(key):
		delete(o.seen, o.scope(conn, key))
	}
	return "DELETED"
}

func (o *fenceOracle) flush(conn string) string {
	clear(o.alive)
	for scope := range o.seen {
		if scope[0] == conn && !ofPeer(scope[1]) {
			delete(o.seen, scope)
		}
	}
	return "OK"
}

// request makes a random request of conn and says what is answered.
func (o *fenceOracle) request(r *rand.Rand, conn string) (request, answer string) {
	key := fmt.Sprintf("%c.%d", "cphno"[r.IntN(5)], r.IntN(3))
	ttl := []int{5, 30, 90, 900}[r.IntN(4)]
	lasts := time.Duration(ttl) * time.Second
	value := strings.Repeat("x", r.IntN(5))
	switch n := r.IntN(100); {
	case n < 30:
		return "get " + key + "\r\n", o.get(conn, key)
	case n < 60:
		return fmt.Sprintf("set %s 0 %d %d\r\n%s\r\n", key, ttl, len(value), value), o.store(conn, key, value, lasts, false)
	case n < 70:
		return fmt.Sprintf("add %s 0 %d %d\r\n%s\r\n", key, ttl, len(value), value), o.store(conn, key, value, lasts, true)
	case n < 78:
		return fmt.Sprintf("touch %s %d\r\n", key, ttl), o.touch(conn, key, lasts)
	case n < 98:
		return "delete " + key + "\r\n", o.remove(conn, key)
	}
	return "flush_all\r\n", o.flush(conn)
}

// TestFenceRandom compares what six connections of three hosts hear, in random
// histories and with input in pieces of any size, with an oracle.
func TestFenceRandom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	w := newFenceWorld(t)
	o := &fenceOracle{now: w.clock.now, alive: map[string]oracleSession{}, seen: map[[2]string]oracleSight{}}
	for range 20_000 {
		conn := []string{"a1", "a2", "a3", "b1", "b2", "c1"}[r.IntN(6)]
		var requests, want strings.Builder
		for range 1 + r.IntN(4)*r.IntN(4) {
			request, answer := o.request(r, conn)
			requests.WriteString(request)
			want.WriteString(answer + "\r\n")
		}
		l := w.line(conn)
		l.output.Reset()
		l.receive(requests.String())
		if got := l.output.String(); got != want.String() {
			t.Fatalf("seed %d: %s sends %q and hears %q, want %q", seed, conn, requests.String(), got, want.String())
		}
		if r.IntN(3) == 0 {
			o.now = o.now.Add(time.Duration(r.IntN(12_000)) * time.Millisecond)
			w.clock.now = o.now
		}
	}
	kept := uint64(0)
	for _, rule := range []string{"conn", "peer", "honest", "holds"} {
		kept += w.server.fences.count(rule).Load()
	}
	if kept < 100 {
		t.Errorf("only %d writes were kept out", kept)
	}
}
