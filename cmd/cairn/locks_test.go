package main

import (
	"io"
	"net"
	"strings"
	"testing"
)

// dialed is a connection to address.
func dialed(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// waits sends a request whose answer does not come until somebody does something.
func waits(t *testing.T, conn net.Conn, request string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
}

// lockRules let clients wait for as long as there may be, so that a slow machine does
// not end a wait.
const lockRules = "rules: [{name: app, locks: 'lock.', volatile: true, park: 4s, free-on-close: true}]"

const lockAdd = "add lock.a 0 60 1\r\nx\r\n"

// TestLocks hands locks over from one client to the next.
func TestLocks(t *testing.T) {
	admin := freeAddress(t)
	r := start(t, t.TempDir(), "--session-rules", rulesFile(t, lockRules), "--http-listen", admin)
	for name, c := range map[string]struct {
		then func(holder, waiter net.Conn)
		want string
	}{
		"the holder deletes it": {func(holder, _ net.Conn) { asks(t, holder, "delete lock.a\r\n", "DELETED\r\n") }, "STORED\r\n"},
		"the holder goes":       {func(holder, _ net.Conn) { holder.Close() }, "STORED\r\n"},
		"the holder is killed": {func(holder, _ net.Conn) {
			holder.(*net.TCPConn).SetLinger(0)
			holder.Close()
		}, "STORED\r\n"},
		"the waiter sends more": {func(_, waiter net.Conn) { waits(t, waiter, "get lock.a\r\n") }, "NOT_STORED\r\nVALUE lock.a 0 1\r\nx\r\nEND\r\n"},
	} {
		holder, waiter, other := dialed(t, r.addr), dialed(t, r.addr), dialed(t, r.addr)
		asks(t, holder, lockAdd, "STORED\r\n")
		waits(t, waiter, lockAdd)
		// Nothing but the waiter waits, and what has more behind it does not either.
		asks(t, other, "set a 0 0 1\r\nx\r\n"+lockAdd+"get a\r\n", "STORED\r\nNOT_STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
		c.then(holder, waiter)
		t.Log(name)
		asks(t, waiter, "", c.want)
		holder.Close()
		waiter.Close()
		awaitTrue(t, "the lock is free", func() bool { return say(t, "tcp", r.addr, "get lock.a\r\n") == "END\r\n" })
	}
	holder, waiter := dialed(t, r.addr), dialed(t, r.addr)
	asks(t, holder, lockAdd, "STORED\r\n")
	waits(t, waiter, lockAdd)
	awaitTrue(t, "the lock is listed, with its holder and who waits", func() bool {
		_, list, _ := cairn("ls --locks --url " + admin)
		return strings.Contains(list, "lock.a") && strings.Contains(list, "connection ") && strings.Contains(list, "  1  ")
	})
	holder.Close()
	asks(t, waiter, "", "STORED\r\n")
	waiter.Close()
	waiter, holder = dialed(t, r.addr), dialed(t, r.addr)
	asks(t, holder, lockAdd, "STORED\r\n")
	waits(t, waiter, lockAdd)
	waiter.Close()
	asks(t, holder, "delete lock.a\r\n", "DELETED\r\n")
	awaitTrue(t, "who has gone does not hold it", func() bool { return say(t, "tcp", r.addr, "get lock.a\r\n") == "END\r\n" })
	r.cmd.Process.Kill()
	r.ends()
}
