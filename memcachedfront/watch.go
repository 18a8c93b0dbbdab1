package memcachedfront

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cairn/memcachedfront/protocol"
	"cairn/serve"
	"cairn/session"
)

// topic is a kind of event that clients can watch.
type topic uint8

const (
	fetchers topic = 1 << iota
	mutations
	connEvents
	deletions
	noEvents // topics of memcached's that nothing here can happen in
)

var topics = map[string]topic{
	"fetchers":    fetchers,
	"mutations":   mutations,
	"connevents":  connEvents,
	"deletions":   deletions,
	"evictions":   noEvents,
	"rawcmds":     noEvents,
	"sysevents":   noEvents,
	"proxyreqs":   noEvents,
	"proxyevents": noEvents,
	"proxyuser":   noEvents,
}

const (
	// maxWatchers is how many clients may watch at once.
	maxWatchers = 20

	// watcherBacklog is how many lines wait for a slow watcher; further ones
	// are skipped and counted.
	watcherBacklog = 4096

	// watcherPatience is how often a watcher that hears nothing is checked for
	// being there.
	watcherPatience = time.Second
)

// watchers are the clients that watch.
type watchers struct {
	wanted  atomic.Uint32 // union of the topics
	gid     atomic.Uint64 // number of the last line
	sent    atomic.Uint64
	skipped atomic.Uint64

	mu  sync.RWMutex
	all map[*watcher]struct{}
}

type watcher struct {
	topics topic
	lines  chan []byte
}

// watch is: watch <topic>*
func (c *conn) watch(r *protocol.Request, b *session.Burst) {
	if c.server.options.DisableWatch {
		c.say(r, b, "CLIENT_ERROR watch commands not allowed\r\n")
		return
	}
	wanted := topic(0)
	for _, name := range arguments(r) {
		t, known := topics[name]
		if !known {
			c.refuse(r, b, protocol.UnknownCommand)
			return
		}
		wanted |= t
	}
	if wanted == 0 {
		wanted = fetchers
	}
	w := &watcher{topics: wanted, lines: make(chan []byte, watcherBacklog)}
	c.errand = func(ctx context.Context, to serve.Peer) error {
		defer c.server.listen()
		return c.server.watchers.serve(ctx, w, to, c.server.listen)
	}
}

// serve sends lines to a watcher until it goes or ctx ends. listen is called when
// the watcher wants lines, before it is told that it gets them.
func (ws *watchers) serve(ctx context.Context, w *watcher, to serve.Peer, listen func()) error {
	if !ws.add(w) {
		_, err := to.Write([]byte("WATCHER_TOO_MANY log watcher limit reached\r\n"))
		return err
	}
	defer ws.remove(w)
	listen()
	if _, err := to.Write([]byte(protocol.OK)); err != nil {
		return err
	}
	patience := time.NewTicker(watcherPatience)
	defer patience.Stop()
	for {
		select {
		case line := <-w.lines:
			if _, err := to.Write(line); err != nil {
				return err
			}
			ws.sent.Add(1)
		case <-patience.C:
			if to.Gone() {
				return net.ErrClosed
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (ws *watchers) add(w *watcher) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.all) >= maxWatchers {
		return false
	}
	if ws.all == nil {
		ws.all = make(map[*watcher]struct{})
	}
	ws.all[w] = struct{}{}
	ws.wanted.Store(ws.wanted.Load() | uint32(w.topics))
	return true
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
	wanted := topic(0)
	for other := range ws.all {
		wanted |= other.topics
	}
	ws.wanted.Store(uint32(wanted))
}

func (ws *watchers) count() int {
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	return len(ws.all)
}

// want reports whether anybody watches one of the topics.
func (ws *watchers) want(t topic) bool { return ws.wanted.Load()&uint32(t) != 0 }

// tell sends a line to those who watch the topic: when it happened, its number,
// and the text.
func (ws *watchers) tell(t topic, format string, args ...any) {
	now := time.Now()
	line := fmt.Appendf(nil, "ts=%d.%06d gid=%d ", now.Unix(), now.Nanosecond()/1000, ws.gid.Add(1))
	line = fmt.Appendf(line, format, args...)
	line = append(line, '\n')
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	for w := range ws.all {
		if w.topics&t == 0 {
			continue
		}
		select {
		case w.lines <- line:
		default:
			ws.skipped.Add(1)
		}
	}
}

func (ws *watchers) connected(c *conn) {
	if ws.want(connEvents) {
		ws.tell(connEvents, "type=conn_new %s cfd=%d", remoteFields(c.link.Remote()), c.link.ID())
	}
}

func (ws *watchers) disconnected(c *conn, err error) {
	if ws.want(connEvents) {
		ws.tell(connEvents, "type=conn_close %s reason=%s cfd=%d", remoteFields(c.link.Remote()), closeReason(err), c.link.ID())
	}
}

func remoteFields(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return "rip=" + tcp.IP.String() + " rport=" + strconv.Itoa(tcp.Port) + " transport=tcp"
	}
	return "rip=unix rport=0 transport=unix"
}

func closeReason(err error) string {
	switch err {
	case nil:
		return "normal"
	case serve.ErrIdle:
		return "idle_timeout"
	}
	return "error"
}

// results tells of reads, and of stores that failed.
func (ws *watchers) results(c *conn, b *session.Burst) {
	id := c.link.ID()
	for i := range b.Results {
		cmd, result := &b.Commands[i], &b.Results[i]
		switch cmd.Op {
		case session.OpGet, session.OpTouch:
			ws.fetched(id, cmd, result)
		case session.OpDelete, session.OpFlush:
		default:
			if result.Status != session.OK {
				ws.stored(id, cmd, result.Status, seconds(cmd.Expiry, b.Now), len(cmd.Value))
			}
		}
	}
}

// happened tells of what was stored and what was deleted.
func (ws *watchers) happened(events []session.Event) {
	for i := range events {
		e := &events[i]
		if e.Command == nil {
			continue
		}
		switch e.Command.Op {
		case session.OpGet, session.OpTouch, session.OpFlush:
		case session.OpDelete:
			ws.deleted(session.MemcachedConnection(e.Origin), e.Command, e.Size)
		default:
			ws.stored(session.MemcachedConnection(e.Origin), e.Command, session.OK, seconds(e.Result.Item.Expiry, e.Now), e.Size)
		}
	}
}

// seconds returns how long an item lives from now on; 0: for ever.
func seconds(expiry, now session.Time) int64 {
	if expiry == session.Never || expiry == 0 {
		return 0
	}
	return protocol.TTL(expiry, now)
}

func (ws *watchers) fetched(id uint64, cmd *session.Command, result *session.Result) {
	if !ws.want(fetchers) {
		return
	}
	status, class := "not_found", 0
	if result.Status == session.OK {
		status, class = "found", 1
	}
	ws.tell(fetchers, "type=item_get key=%s status=%s clsid=%d cfd=%d size=%d",
		appendURIEncoded(nil, cmd.Key), status, class, id, len(result.Item.Value))
}

func (ws *watchers) stored(id uint64, cmd *session.Command, status session.Status, ttl int64, size int) {
	if !ws.want(mutations) {
		return
	}
	ws.tell(mutations, "type=item_store key=%s status=%s cmd=%s ttl=%d clsid=1 cfd=%d size=%d",
		appendURIEncoded(nil, cmd.Key), storeStatus(status), storeName(cmd), ttl, id, size)
}

func (ws *watchers) deleted(id uint64, cmd *session.Command, size int) {
	if ws.want(deletions) {
		ws.tell(deletions, "type=deleted key=%s cmd=delete clsid=1 cfd=%d size=%d", appendURIEncoded(nil, cmd.Key), id, size)
	}
}

func storeStatus(s session.Status) string {
	switch s {
	case session.OK:
		return "stored"
	case session.NotFound:
		return "not_found"
	case session.Exists:
		return "exists"
	case session.TooLarge:
		return "too_large"
	case session.Failed:
		return "no_memory"
	}
	return "not_stored"
}

func storeName(cmd *session.Command) string {
	if cmd.Op == session.OpSet && cmd.Has(session.IfVersion) {
		return "cas"
	}
	switch cmd.Op {
	case session.OpSet:
		return "set"
	case session.OpAdd:
		return "add"
	case session.OpReplace:
		return "replace"
	case session.OpAppend:
		return "append"
	case session.OpPrepend:
		return "prepend"
	case session.OpIncr:
		return "incr"
	}
	return "decr"
}
