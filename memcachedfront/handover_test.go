//go:build linux

package memcachedfront_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"

	"cairn/memcachedfront"
	"cairn/serve"
	"cairn/session/sessiontest"
)

// handOver moves the connections and listeners of one process to a new one, as
// descriptors travel between processes.
func handOver(t *testing.T, from *process, change func(*memcachedfront.Options)) *process {
	t.Helper()
	conns, err := from.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bound := map[string]net.Listener{}
	for name, l := range from.bound {
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		if bound[name], err = net.FileListener(file); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	for i := range conns {
		if conns[i].FD, err = unix.Dup(conns[i].FD); err != nil {
			t.Fatal(err)
		}
	}
	from.Release()
	from.stop(t)
	to := newProcess(t, func(o *memcachedfront.Options) {
		change(o)
		o.Bound = bound
	})
	if err := to.Resume(conns); err != nil {
		t.Fatal(err)
	}
	to.start()
	return to
}

// Connections go on in another process, wherever in a request or in an answer
// they were.
func TestHandover(t *testing.T) {
	store := sessiontest.NewModel(0)
	withStore := func(o *memcachedfront.Options) { o.Store = store }
	p := newProcess(t, withStore)
	p.start()
	address := p.Addrs()[0].String()

	idle, text, body, multi, bin, slow, swallowing := dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address),
		dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address)
	for _, c := range []net.Conn{idle, text, body, multi, bin, slow, swallowing} {
		if c != bin {
			send(t, c, "version\r\n")
			expect(t, c, "VERSION 1.6.45\r\n")
		}
	}
	noop, reply := "\x80\x0a"+strings.Repeat("\x00", 22), "\x81\x0a"+strings.Repeat("\x00", 22)
	send(t, bin, noop+noop[:10])
	expect(t, bin, reply)
	send(t, text, "get not")
	send(t, body, "set a 0 0 10\r\nhello")
	send(t, swallowing, "mn\r\nset big 0 0 99999999\r\nxxx")
	expect(t, swallowing, "MN\r\n")
	value := strings.Repeat("v", 1_000_000)
	send(t, slow, "set v 0 0 1000000\r\n"+value+"\r\n")
	expect(t, slow, "STORED\r\n")
	send(t, slow, strings.Repeat("get v\r\n", 30)+"mn\r\n") // whose answers nobody reads yet
	awaitInput(t, p, len("version\r\nset a 0 0 10\r\nhello"))

	for range 2 { // and on to a third
		p = handOver(t, p, withStore)
		if got := p.Addrs()[0].String(); got != address {
			t.Fatalf("the new process listens on %s, not %s", got, address)
		}
	}
	defer func() { p.stop(t) }()
	send(t, idle, "set b 0 0 1\r\nx\r\n")
	expect(t, idle, "STORED\r\n")
	send(t, text, "hing\r\nget b\r\n")
	expect(t, text, "END\r\nVALUE b 0 1\r\nx\r\nEND\r\n")
	send(t, body, "world\r\nget a\r\n")
	expect(t, body, "STORED\r\nVALUE a 0 10\r\nhelloworld\r\nEND\r\n")
	send(t, bin, noop[10:])
	expect(t, bin, reply)
	for range 30 {
		expect(t, slow, "VALUE v 0 1000000\r\n"+value+"\r\nEND\r\n")
	}
	expect(t, slow, "MN\r\n")
	send(t, swallowing, strings.Repeat("x", 99_999_996)+"\r\nmn\r\n")
	expect(t, swallowing, "SERVER_ERROR object too large for cache\r\nMN\r\n")
	if got := converse(t, address, "get b\r\n"); got != "VALUE b 0 1\r\nx\r\nEND\r\n" {
		t.Errorf("a new client got %q", got)
	}
}

// awaitInput waits until some connection has sent so many bytes.
func awaitInput(t *testing.T, p *process, bytes int) {
	t.Helper()
	await(t, "input", func() bool {
		return slices.ContainsFunc(p.Connections(), func(c memcachedfront.Connection) bool { return c.BytesIn == uint64(bytes) })
	})
}

// Logged in stays logged in, and not logged in does not become so.
func TestHandoverKeepsLogins(t *testing.T) {
	guard, _ := guardOf(t, "alice:secret\n")
	store := sessiontest.NewModel(0)
	options := func(o *memcachedfront.Options) { o.Store, o.Guard = store, guard }
	p := newProcess(t, options)
	p.start()
	alice, stranger := dial(t, "tcp", p.Addrs()[0].String()), dial(t, "tcp", p.Addrs()[0].String())
	send(t, alice, textGood)
	expect(t, alice, "STORED\r\n")
	send(t, stranger, "version\r\n")
	expect(t, stranger, "VERSION 1.6.45\r\n")
	p = handOver(t, p, options)
	defer func() { p.stop(t) }()
	send(t, alice, "get a\r\n")
	expect(t, alice, "END\r\n")
	send(t, stranger, "get a\r\n")
	expect(t, stranger, "CLIENT_ERROR unauthenticated\r\n")
	users := map[string]int{}
	for _, c := range p.Connections() {
		users[c.User]++
	}
	if users["alice"] != 1 || users[""] != 1 {
		t.Errorf("users: %v", users)
	}
}

// A hand-over that is given up leaves no trace.
func TestThaw(t *testing.T) {
	store := slowStore{Store: sessiontest.NewModel(0), entered: make(chan struct{}), leave: make(chan struct{})}
	p := newProcess(t, func(o *memcachedfront.Options) { o.Store = store })
	p.start()
	defer func() { p.stop(t) }()
	address := p.Addrs()[0].String()
	busy, torn := dial(t, "tcp", address), dial(t, "tcp", address)
	send(t, torn, "version\r\nget no")
	expect(t, torn, "VERSION 1.6.45\r\n")
	send(t, busy, "set a 0 0 1\r\nx\r\n")
	<-store.entered

	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := p.Freeze(ended); err != context.Canceled {
		t.Fatalf("Freeze with a burst that does not end: %v", err)
	}
	frozen := make(chan error)
	go func() {
		conns, err := p.Freeze(t.Context())
		if err == nil && len(conns) != 2 {
			err = fmt.Errorf("%d connections are frozen, not 2", len(conns))
		}
		frozen <- err
	}()
	store.leave <- struct{}{}
	if err := <-frozen; err != nil {
		t.Fatal(err)
	}
	expect(t, busy, "STORED\r\n") // finished, and its answer sent
	newcomer := dial(t, "tcp", address)
	send(t, newcomer, "version\r\n")
	send(t, torn, "thing\r\n")
	torn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := torn.Read(make([]byte, 1)); n > 0 {
		t.Fatalf("a frozen server answered, %v", err)
	}
	torn.SetReadDeadline(time.Now().Add(time.Minute))
	p.Thaw()
	<-store.entered
	store.leave <- struct{}{}
	expect(t, torn, "END\r\n")
	expect(t, newcomer, "VERSION 1.6.45\r\n")
}

// What cannot be handed over is closed, and does not hold up the rest.
func TestFreezeClosesWatchers(t *testing.T) {
	p := newProcess(t, func(o *memcachedfront.Options) { o.Store = sessiontest.NewModel(0) })
	p.start()
	watcher, other := dial(t, "tcp", p.Addrs()[0].String()), dial(t, "tcp", p.Addrs()[0].String())
	send(t, watcher, "watch\r\n")
	expect(t, watcher, "OK\r\n")
	send(t, other, "mn\r\n")
	expect(t, other, "MN\r\n")
	conns, err := p.Freeze(t.Context())
	if err != nil || len(conns) != 1 {
		t.Errorf("%d connections, %v", len(conns), err)
	}
	if rest, err := io.ReadAll(watcher); len(rest) > 0 || err != nil {
		t.Errorf("the watcher got %q, %v", rest, err)
	}
	p.Thaw()
	send(t, other, "mn\r\n")
	expect(t, other, "MN\r\n")
	again := dial(t, "tcp", p.Addrs()[0].String())
	send(t, again, "watch\r\n")
	expect(t, again, "OK\r\n")
	p.stop(t)
}

func TestResumeRefusesStrangeState(t *testing.T) {
	p := newProcess(t, func(o *memcachedfront.Options) { o.Store = sessiontest.NewModel(0) })
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	for _, state := range []string{"\x00\x00\x00\x0e" + `{"Version":99}`, "\x00\x00\x00\xff{}", "\x00", "\x00\x00\x00\x1d" + `{"Version":1,"InputLength":9}` + "12"} {
		fd, err := unix.Dup(fds[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Resume([]serve.FrozenConn{{FD: fd, State: []byte(state)}}); err == nil {
			t.Errorf("the state %q was accepted", state)
		}
	}
	unix.Close(fds[1])
	if n, err := unix.Read(fds[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the connection was not closed: %d, %v", n, err)
	}
	p.start()
	p.stop(t)
}

// A connection that asked for a dump behind answers that it does not read gets
// those, and then its end.
func TestHandoverEndsWhatCannotGoOn(t *testing.T) {
	store := sessiontest.NewModel(0)
	options := func(o *memcachedfront.Options) { o.Store = store }
	p := newProcess(t, options)
	p.start()
	c := dial(t, "tcp", p.Addrs()[0].String())
	value := strings.Repeat("v", 1_000_000)
	send(t, c, "set v 0 0 1000000\r\n"+value+"\r\n")
	expect(t, c, "STORED\r\n")
	send(t, c, strings.Repeat("get v\r\n", 10)+"watch\r\n")
	awaitRequests(t, p, 1+10)
	p = handOver(t, p, options)
	defer func() { p.stop(t) }()
	for range 10 {
		expect(t, c, "VALUE v 0 1000000\r\n"+value+"\r\nEND\r\n")
	}
	if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
		t.Errorf("after the answers came %q, %v", rest, err)
	}
}

// awaitRequests waits until a connection has had so many requests begun.
func awaitRequests(t *testing.T, p *process, n uint64) {
	t.Helper()
	await(t, "requests", func() bool {
		return slices.ContainsFunc(p.Connections(), func(c memcachedfront.Connection) bool { return c.Requests >= n })
	})
}

// A connection is the same one afterwards, to operators too; new ones get
// numbers of their own.
func TestHandoverKeepsIdentity(t *testing.T) {
	store := sessiontest.NewModel(0)
	options := func(o *memcachedfront.Options) { o.Store = store }
	p := newProcess(t, options)
	p.start()
	for range 3 {
		c := dial(t, "tcp", p.Addrs()[0].String())
		send(t, c, "mn\r\n")
		expect(t, c, "MN\r\n")
	}
	before := map[uint64]time.Time{}
	for _, c := range p.Connections() {
		before[c.ID] = c.Since
	}
	p = handOver(t, p, options)
	defer func() { p.stop(t) }()
	for _, c := range p.Connections() {
		if since, known := before[c.ID]; !known || !since.Equal(c.Since) {
			t.Errorf("connection %d since %v was not there before: %v", c.ID, c.Since, before)
		}
	}
	c := dial(t, "tcp", p.Addrs()[0].String())
	send(t, c, "mn\r\n")
	expect(t, c, "MN\r\n")
	ids := map[uint64]bool{}
	for _, c := range p.Connections() {
		ids[c.ID] = true
	}
	if len(ids) != 4 {
		t.Errorf("4 connections have the numbers %v", ids)
	}
}

// Whoever needed no login in the old process needs one in a new one that has
// users.
func TestHandoverToAGuard(t *testing.T) {
	guard, _ := guardOf(t, "alice:secret\n")
	store := sessiontest.NewModel(0)
	p := newProcess(t, func(o *memcachedfront.Options) { o.Store = store })
	p.start()
	c := dial(t, "tcp", p.Addrs()[0].String())
	send(t, c, "get a\r\n")
	expect(t, c, "END\r\n")
	p = handOver(t, p, func(o *memcachedfront.Options) { o.Store, o.Guard = store, guard })
	defer func() { p.stop(t) }()
	send(t, c, "get a\r\n")
	expect(t, c, "CLIENT_ERROR unauthenticated\r\n")
}

// Whoever's password is withdrawn while one process hands over to another is
// logged out there.
func TestHandoverEndsLoginsOfRemovedUsers(t *testing.T) {
	guard, _ := guardOf(t, "alice:secret\nbob:other\n")
	changed, _ := guardOf(t, "alice:changed\nbob:other\n")
	store := sessiontest.NewModel(0)
	p := newProcess(t, func(o *memcachedfront.Options) { o.Store, o.Guard = store, guard })
	p.start()
	alice, bob := dial(t, "tcp", p.Addrs()[0].String()), dial(t, "tcp", p.Addrs()[0].String())
	send(t, alice, textGood)
	expect(t, alice, "STORED\r\n")
	send(t, bob, "set x 0 0 9\r\nbob other\r\n")
	expect(t, bob, "STORED\r\n")
	p = handOver(t, p, func(o *memcachedfront.Options) { o.Store, o.Guard = store, changed })
	defer func() { p.stop(t) }()
	send(t, alice, "get a\r\n")
	expect(t, alice, "CLIENT_ERROR unauthenticated\r\n")
	send(t, bob, "get a\r\n")
	expect(t, bob, "END\r\n")
}

// A TLS client that does not take its answers holds up nobody: it is cut, and
// the others are handed over.
func TestFreezeCutsBlockedTLS(t *testing.T) {
	server, client := serverTLS(t)
	p := newProcess(t, func(o *memcachedfront.Options) {
		o.Store, o.TLS = sessiontest.NewModel(0), server
		o.Addresses = append(o.Addresses, serve.Address{Network: "tcp", Addr: "127.0.0.1:0", Plain: true})
	})
	p.start()
	defer func() { p.stop(t) }()
	blocked := dialTLS(t, p.Addrs()[0].String(), client)
	value := strings.Repeat("v", 1_000_000)
	send(t, blocked, "set v 0 0 1000000\r\n"+value+"\r\n")
	expect(t, blocked, "STORED\r\n")
	send(t, blocked, strings.Repeat("get v\r\n", 30))
	plain := dial(t, "tcp", p.Addrs()[1].String())
	send(t, plain, "mn\r\n")
	expect(t, plain, "MN\r\n")
	awaitRequests(t, p, 2)
	conns, err := p.Freeze(t.Context())
	if err != nil || len(conns) != 1 {
		t.Errorf("%d connections, %v", len(conns), err)
	}
	p.Thaw()
	send(t, plain, "mn\r\n")
	expect(t, plain, "MN\r\n")
}

// A login whose password is being checked, which takes long, is finished.
func TestHandoverFinishesLogins(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	guard, _ := guardOf(t, "alice:"+string(hash)+"\n")
	store := sessiontest.NewModel(0)
	options := func(o *memcachedfront.Options) { o.Store, o.Guard = store, guard }
	p := newProcess(t, options)
	p.start()
	alice := dial(t, "tcp", p.Addrs()[0].String())
	send(t, alice, textGood)
	awaitInput(t, p, len(textGood))
	conns, err := p.Freeze(t.Context())
	if err != nil || len(conns) != 1 {
		t.Fatalf("%d connections, %v", len(conns), err)
	}
	p.Thaw()
	expect(t, alice, "STORED\r\n")
	send(t, alice, "get a\r\n")
	expect(t, alice, "END\r\n")
	p.stop(t)
}
