package seen

import (
	"sync"
	"sync/atomic"
	"time"

	"cairn/session"
)

// Peers is what clients have seen who use several connections at once, such as the
// processes of one host. It is safe for concurrent use.
//
// A session must not be refused to a client who has been told that it is gone. So
// what a connection has seen does not count if another one of the client has missed
// the session since the first one asked: nobody knows which of the answers is the
// later one. Generation says when a connection asks.
type Peers struct {
	generation atomic.Uint64
	shards     [peerShards]struct {
		mu    sync.Mutex
		table Table
	}
}

// peerShards times MaxEntries is how many sessions Peers remember: 8 MB.
const peerShards = 64

// memoryOfMisses is how long Peers know of a miss: longer than any command takes.
const memoryOfMisses = 15 * time.Second

// Generation is to be asked for before the commands are carried out whose results
// are then noted with it.
func (p *Peers) Generation() uint64 { return p.generation.Load() }

// lock returns the locked shard of a key.
func (p *Peers) lock(key uint64) (*Table, *sync.Mutex) {
	s := &p.shards[key>>32%peerShards]
	s.mu.Lock()
	return &s.table, &s.mu
}

// Remember notes that the session with the given key, which began at born, was
// alive when commands of that generation were carried out. Of two sessions that
// were seen under one key, the later one counts.
func (p *Peers) Remember(key, born, generation uint64, until, now session.Time) {
	if until <= now {
		return
	}
	t, mu := p.lock(key)
	defer mu.Unlock()
	if e := t.find(key); e != nil && e.until > now && (e.born == 0 && e.generation > generation || e.born > born) {
		return
	}
	t.Remember(key, born, until, now)
}

// Forget notes that the session with that key was missed.
func (p *Peers) Forget(key uint64, now session.Time) {
	generation := p.generation.Add(1)
	t, mu := p.lock(key)
	defer mu.Unlock()
	*t.place(key, now) = entry{key: key, generation: generation, until: now.Add(memoryOfMisses)}
}

// Born returns when the session with that key began, as it was seen last.
func (p *Peers) Born(key uint64, now session.Time) (born uint64, ok bool) {
	t, mu := p.lock(key)
	defer mu.Unlock()
	return t.Born(key, now)
}
