package serve

import (
	"time"

	"cairn/origin"
)

// admission decides who may connect. It is part of clients, whose mu guards it.
//
// Where clients must log in, one that has not is a stranger. Strangers have a
// deadline, and where all places are taken they make room: one of those of the
// origin that has most of them goes for each newcomer, the oldest first. So
// strangers can keep nobody out, however many there are.
type admission struct {
	limit, reserved int
	perOrigin       int // connections of one that is not local; 0: no limit

	login    bool
	patience time.Duration // with strangers; 0: no end

	origins   map[origin.Origin]int      // connections, where they are limited
	strangers map[origin.Origin][]client // the oldest first
	leaving   map[client]struct{}        // made room, but are not gone yet
}

// admit adds a client, unless there is no room for it. leaves is a stranger that
// has to go for it, if any; the caller hangs up on that.
func (cs *clients) admit(cl client) (leaves client, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	o := cl.about().origin
	if cs.perOrigin > 0 && !o.IsLocal() && cs.origins[o] >= cs.perOrigin {
		return nil, false
	}
	limit := cs.limit
	if o.IsLocal() {
		limit += cs.reserved
	}
	if len(cs.all)-len(cs.leaving) >= limit {
		if leaves = cs.leastWelcome(); leaves == nil {
			return nil, false
		}
		cs.settle(leaves)
		if cs.leaving == nil {
			cs.leaving = make(map[client]struct{})
		}
		cs.leaving[leaves] = struct{}{}
	}
	cs.total.Add(1)
	cs.insert(cl)
	return leaves, true
}

// insert adds a client. cs.mu is held, as in what follows.
func (cs *clients) insert(cl client) {
	if cs.all == nil {
		cs.all = make(map[client]struct{})
		cs.origins = make(map[origin.Origin]int)
		cs.strangers = make(map[origin.Origin][]client)
	}
	cs.all[cl] = struct{}{}
	l := cl.about()
	if cs.perOrigin > 0 {
		cs.origins[l.origin]++
	}
	if cs.login && !l.welcome.Load() {
		cs.strangers[l.origin] = append(cs.strangers[l.origin], cl)
	}
}

// leave undoes insert.
func (cs *clients) leave(cl client) {
	if _, ok := cs.all[cl]; !ok {
		return
	}
	delete(cs.all, cl)
	delete(cs.leaving, cl)
	cs.settle(cl)
	o := cl.about().origin
	if cs.origins[o]--; cs.origins[o] <= 0 {
		delete(cs.origins, o)
	}
}

// settle takes a client off the strangers, if it is one.
func (cs *clients) settle(cl client) {
	o := cl.about().origin
	list := cs.strangers[o]
	for i := range list {
		if list[i] != cl {
			continue
		}
		if list = append(list[:i], list[i+1:]...); len(list) == 0 {
			delete(cs.strangers, o)
			return
		}
		cs.strangers[o] = list
		return
	}
}

// leastWelcome is the oldest stranger of the origin that has most of them; nil:
// there is no stranger.
func (cs *clients) leastWelcome() (least client) {
	most := 0
	for _, list := range cs.strangers {
		n, oldest := len(list), list[0]
		if n > most || n == most && oldest.about().since.Before(least.about().since) {
			most, least = n, oldest
		}
	}
	return least
}

// overdue lists the strangers who have been there too long at now and wait for
// nothing.
func (cs *clients) overdue(now time.Time) (list []client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, strangers := range cs.strangers {
		for _, cl := range strangers {
			l := cl.about()
			if now.Sub(l.since) > cs.patience && l.State() != Streaming {
				list = append(list, cl)
			}
		}
	}
	return list
}

// expelEvery is the time between two looks for strangers who are overdue.
const expelEvery = time.Second

// expelStrangers closes the connections of strangers who are overdue, until the
// server stops.
func (s *Server) expelStrangers() {
	if !s.clients.login || s.clients.patience <= 0 {
		return
	}
	ticker := time.NewTicker(min(expelEvery, s.clients.patience))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			if s.isFrozen() {
				continue // they are another process's, perhaps
			}
			for _, cl := range s.clients.overdue(now) {
				s.clients.expelled.Add(1)
				cl.hangUp()
			}
		case <-s.life.Done():
			return
		}
	}
}

// Welcome says that the client is no stranger any more: it has logged in. It
// may be called by the Conn at any time.
func (l *Link) Welcome() {
	if l.server == nil || l.welcome.Swap(true) {
		return
	}
	l.server.clients.welcome(l)
}

// welcome takes the client of a link off the strangers.
func (cs *clients) welcome(l *Link) {
	if !cs.login {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, cl := range cs.strangers[l.origin] {
		if cl.about() == l {
			cs.settle(cl)
			return
		}
	}
}
