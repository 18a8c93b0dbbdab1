package memcachedfront_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"cairn/auth"
	"cairn/memcachedfront"
	"cairn/session/sessiontest"
)

// guardOf makes a Guard over a user file with that content, and a function that
// changes it and reloads.
func guardOf(t testing.TB, users string) (g *auth.Guard, change func(users string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	write := func(users string) {
		if err := os.WriteFile(path, []byte(users), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(users)
	file, err := auth.OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g = auth.NewGuard(file, nil)
	return g, func(users string) {
		write(users)
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}

func startGuarded(t testing.TB, users string) (address string) {
	t.Helper()
	g, _ := guardOf(t, users)
	return startServer(t, func(o *memcachedfront.Options) { o.Guard = g })
}

// dial connects until the test ends.
func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	t.Cleanup(func() { c.Close() })
	return c
}

// converse sends what the client says, then says no more, and gives all that
// the server answers.
func converse(t testing.TB, address, says string) string {
	t.Helper()
	c := dial(t, "tcp", address)
	if _, err := io.WriteString(c, says); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	answers, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answers)
}

const (
	textGood  = "set auth 0 0 12\r\nalice secret\r\n"
	textWrong = "set auth 0 0 11\r\nalice wrong\r\n"
)

func TestTextLogin(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("hashed pass"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	address := startGuarded(t, "alice:secret\nbob:"+string(hash))
	for _, c := range []struct{ name, says, want string }{
		{"the right password", textGood + "set k 7 0 1\r\nv\r\nget k\r\n", "STORED\r\nSTORED\r\nVALUE k 7 1\r\nv\r\nEND\r\n"},
		{"a hashed password with a space", "set x 0 0 15\r\nbob hashed pass\r\nmn\r\n", "STORED\r\nMN\r\n"},
		{"a wrong password, then the right one", textWrong + textGood + "get none\r\n", "CLIENT_ERROR authentication failure\r\nSTORED\r\nEND\r\n"},
		{"commands first", "get k\r\nmn\r\nmg k v\r\nflush_all\r\nstats\r\nwatch\r\nshutdown\r\nlru_crawler metadump all\r\n",
			strings.Repeat("CLIENT_ERROR unauthenticated\r\n", 8)},
		{"another storage command first", "add k 0 0 12\r\nalice secret\r\n", "CLIENT_ERROR unauthenticated\r\n"},
		{"meta set first", "ms k 12\r\nalice secret\r\n", "CLIENT_ERROR unauthenticated\r\n"},
		{"nonsense first", "hello\r\n\r\n", "CLIENT_ERROR unauthenticated\r\nCLIENT_ERROR unauthenticated\r\n"},
		{"a large value first", "set k 0 0 5000\r\n" + strings.Repeat("x", 5000) + "\r\n" + textGood, "CLIENT_ERROR unauthenticated\r\nSTORED\r\n"},
		{"no space in the token", "set k 0 0 5\r\nalice\r\n", "CLIENT_ERROR bad authentication token format\r\n"},
		{"no line end behind the token", "set k 0 0 11\r\nalice secret\r\n", "CLIENT_ERROR bad command line termination\r\n"},
		{"quit", "quit\r\nget k\r\n", ""},
		{"noreply", strings.Replace(textGood, "12", "12 noreply", 1) + "get none\r\n", "STORED\r\nEND\r\n"},
		{"the second set is data", textGood + textWrong + "get auth\r\n", "STORED\r\nSTORED\r\nVALUE auth 0 11\r\nalice wrong\r\nEND\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := converse(t, address, c.says)
			if c.name == "no line end behind the token" { // what is left is read as a line
				got = strings.SplitAfter(got, "\n")[0]
			}
			if got != c.want {
				t.Errorf("%q answered %q, want %q", c.says, got, c.want)
			}
		})
	}
	if got := converse(t, address, "version\r\n"); !strings.HasPrefix(got, "VERSION 1.") {
		t.Errorf("version answered %q", got)
	}
}

// TestTextLoginDifferential compares with memcached -Y what both define.
func TestTextLoginDifferential(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("alice:secret\nbob:two words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := startMemcached(t, "-Y", users)
	ours := startGuarded(t, "alice:secret\nbob:two words\n")
	for _, says := range [][]string{
		{textGood, "get none\r\n", "set k 0 0 1\r\n1\r\n", "incr k 1\r\n"},
		{textWrong, textWrong, textGood, textWrong, "get auth none\r\n"},
		{"set x 0 0 12 noreply\r\nalice secret\r\n", "get none\r\n"},
		{"set x 0 0 7\r\nbob two\r\n"},
		{"set x 0 0 5\r\nalice\r\n", textGood},
		{"set x 0 0 0\r\n\r\n"},
		{"set x 0 0\r\n", "set\r\n", textGood},
		{"get k\r\n", "mn\r\n", "stats\r\n", "\r\n", textGood, "mn\r\n"},
		{"set x 0 0 12\r\nalice secretzz"},
	} {
		got, want := takeTurns(t, ours, says), takeTurns(t, theirs, says)
		if got != want {
			t.Errorf("%q:\nCairn     %q\nmemcached %q", says, got, want)
		}
	}
}

// takeTurns sends each request when the one before it was answered, with one
// line, up to a last END.
func takeTurns(t testing.TB, address string, says []string) (answers string) {
	t.Helper()
	c := dial(t, "tcp", address)
	r := bufio.NewReader(c)
	for _, request := range says {
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: after %q: %v", address, answers, err)
			}
			answers += line
			if !strings.HasPrefix(line, "VALUE") && !strings.HasPrefix(line, "alice") {
				break
			}
		}
	}
	return answers
}

func saslPacket(opcode byte, key, value string) string {
	op := binaryOp{opcode: opcode, key: []byte(key), value: []byte(value)}
	return string(op.encode(nil, 7, 0))
}

const (
	opGet  = 0x00
	opQuit = 0x07
	opNoop = 0x0a
	opVer  = 0x0b
	opList = 0x20
	opAuth = 0x21
	opStep = 0x22
)

// TestSASL has what memcached -S answers, except that it does not let a client
// quit that has not logged in.
func TestSASL(t *testing.T) {
	address := startGuarded(t, "alice:secret")
	good, wrong := saslPacket(opAuth, "PLAIN", "\x00alice\x00secret"), saslPacket(opAuth, "PLAIN", "\x00alice\x00wrong")
	get := saslPacket(opGet, "k", "")
	for _, c := range []struct {
		name, says string
		want       []string
	}{
		{"list", saslPacket(opList, "", ""), []string{"20 0 PLAIN"}},
		{"the right password", good + get, []string{"21 0 Authenticated", "0 1 Not found"}},
		{"with an identity to act as", saslPacket(opAuth, "plain", "alice\x00alice\x00secret") + get, []string{"21 0 Authenticated", "0 1 Not found"}},
		{"as somebody else", saslPacket(opAuth, "PLAIN", "root\x00alice\x00secret"), []string{"21 20 Auth failure."}},
		{"a wrong password, then the right one", wrong + good + get, []string{"21 20 Auth failure.", "21 0 Authenticated", "0 1 Not found"}},
		{"a malformed message", saslPacket(opAuth, "PLAIN", "alice secret") + saslPacket(opVer, "", ""), []string{"21 20 Auth failure.", "b 0 1.6.45"}},
		{"another mechanism", saslPacket(opAuth, "CRAM-MD5", "x"), []string{"21 20 Auth failure."}},
		{"in two steps", saslPacket(opAuth, "PLAIN", "") + saslPacket(opStep, "PLAIN", "\x00alice\x00secret") + get,
			[]string{"21 21 ", "22 0 Authenticated", "0 1 Not found"}},
		{"a step too early", saslPacket(opStep, "PLAIN", "\x00alice\x00secret"), []string{"22 20 Auth failure."}},
		{"a step twice", saslPacket(opAuth, "PLAIN", "") + saslPacket(opStep, "PLAIN", "\x00alice\x00wrong") + saslPacket(opStep, "PLAIN", "\x00alice\x00secret"),
			[]string{"21 21 ", "22 20 Auth failure.", "22 20 Auth failure."}},
		{"get first", get + good, []string{"0 20 Auth failure."}},
		{"noop first", saslPacket(opNoop, "", "") + good, []string{"a 20 Auth failure."}},
		{"an unknown command first", saslPacket(0x70, "", "") + good, []string{"70 20 Auth failure."}},
		{"a large value first", saslPacket(opGet, "k", strings.Repeat("x", 5000)), []string{"0 20 Auth failure."}},
		{"quit first", saslPacket(opQuit, "", "") + good, []string{"7 0 "}},
		{"a failure takes the login back", good + wrong + get, []string{"21 0 Authenticated", "21 20 Auth failure.", "0 20 Auth failure."}},
		{"a long mechanism", saslPacket(opAuth, strings.Repeat("M", 33), "x") + good, []string{"21 4 Invalid arguments", "21 0 Authenticated"}},
		{"a long message", saslPacket(opAuth, "PLAIN", strings.Repeat("x", 5000)) + good, []string{"21 20 Auth failure.", "21 0 Authenticated"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := packets(t, converse(t, address, c.says)); strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("answered %q, want %q", got, c.want)
			}
		})
	}
	unguarded := startServer(t, nil)
	says := saslPacket(opList, "", "") + good + saslPacket(opStep, "PLAIN", "x") + get
	want := "20 81 Unknown command|21 81 Unknown command|22 81 Unknown command|0 1 Not found"
	if got := strings.Join(packets(t, converse(t, unguarded, says)), "|"); got != want {
		t.Errorf("without users: %q, want %q", got, want)
	}
}

// packets takes binary answers apart, each to its opcode and status in
// hexadecimal and its body.
func packets(t testing.TB, answers string) (list []string) {
	t.Helper()
	r := strings.NewReader(answers)
	for r.Len() > 0 {
		header, body, err := readPacket(r)
		if err != nil {
			t.Fatalf("%v in %x", err, answers)
		}
		if opaque := binary.BigEndian.Uint32(header[12:]); opaque != 7 {
			t.Errorf("opaque %d came back", opaque)
		}
		status := binary.BigEndian.Uint16(header[6:])
		list = append(list, fmt.Sprintf("%x %x %s", header[1], status, body))
	}
	return list
}

// TestLoginArrivingInPieces tears logins of both kinds at every byte.
func TestLoginArrivingInPieces(t *testing.T) {
	address := startGuarded(t, "alice:secret")
	for _, says := range []string{
		textGood + "get none\r\n",
		saslPacket(opAuth, "PLAIN", "\x00alice\x00secret") + saslPacket(opGet, "none", ""),
	} {
		want := converse(t, address, says)
		for i := 1; i < len(says); i++ {
			c := dial(t, "tcp", address)
			io.WriteString(c, says[:i])
			// The server has most likely read the first piece once it has
			// answered somebody else.
			converse(t, address, "version\r\n")
			io.WriteString(c, says[i:])
			c.(*net.TCPConn).CloseWrite()
			if got, err := io.ReadAll(c); err != nil || string(got) != want {
				t.Fatalf("torn at %d: %q (%v), want %q", i, got, err, want)
			}
			c.Close()
		}
	}
}

func TestStrangersCannotSendForEver(t *testing.T) {
	address := startGuarded(t, "alice:secret")
	for name, endless := range map[string][]byte{
		"a line":        bytes.Repeat([]byte("get k "), 1<<20),
		"a binary body": append([]byte(saslPacket(opGet, "k", ""))[:8], bytes.Repeat([]byte{0xff}, 1<<20)...),
	} {
		c := dial(t, "tcp", address)
		io.Copy(c, bytes.NewReader(endless[:5000])) // may fail when the server has seen enough
		// The connection ends, in whatever way TCP reports that.
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: still open after 5000 bytes", name)
		}
	}
}

// TestReloadingUsersClosesThoseOfTheRemoved removes a user and one of the
// passwords of another: connections that logged in with either end.
func TestReloadingUsersClosesThoseOfTheRemoved(t *testing.T) {
	g, change := guardOf(t, "alice:secret\nbob:old\nbob:new")
	server := newProcess(t, func(o *memcachedfront.Options) { o.Store, o.Guard = sessiontest.NewModel(0), g })
	server.start()
	defer func() { server.stop(t) }()
	address := server.Addrs()[0].String()
	logIn := func(user, password string) net.Conn {
		c := dial(t, "tcp", address)
		send(t, c, fmt.Sprintf("set x 0 0 %d\r\n%s %s\r\n", len(user)+1+len(password), user, password))
		expect(t, c, "STORED\r\n")
		return c
	}
	alice, old, kept := logIn("alice", "secret"), logIn("bob", "old"), logIn("bob", "new")
	change("bob:new\ncarol:other")
	server.LogOut()
	for name, c := range map[string]net.Conn{"alice": alice, "bob's old password": old} {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection of %s is open: %v", name, err)
		}
	}
	send(t, kept, "get none\r\n")
	expect(t, kept, "END\r\n")
	if got := converse(t, address, textGood); got != "CLIENT_ERROR authentication failure\r\n" {
		t.Errorf("the removed user got %q", got)
	}
	logIn("carol", "other")
}

// TestSilentConnectionsLockNobodyOut opens more connections than there may be,
// all of which say nothing, before and after somebody logs in.
func TestSilentConnectionsLockNobodyOut(t *testing.T) {
	for _, blocking := range []bool{false, true} {
		g, _ := guardOf(t, "alice:secret")
		server := newProcess(t, func(o *memcachedfront.Options) {
			o.Store, o.Guard, o.Blocking = sessiontest.NewModel(0), g, blocking
			o.ConnLimit, o.ReservedConns = 100, -1
		})
		server.start()
		address := server.Addrs()[0].String()
		silence := func() {
			t.Helper()
			server.ResetFigures()
			before := server.Figures().Connected
			for range 110 {
				dial(t, "tcp", address)
			}
			await(t, "strangers", func() bool { return server.Figures().Connected >= before+110 })
		}
		silence()
		c := dial(t, "tcp", address)
		send(t, c, textGood)
		expect(t, c, "STORED\r\n")
		silence()
		send(t, c, "get none\r\n")
		expect(t, c, "END\r\n")
		if f := server.Figures(); f.Rejected > 0 || f.Expelled < 100 {
			t.Errorf("%d were rejected, %d strangers made room", f.Rejected, f.Expelled)
		}
		server.stop(t)
	}
}

// TestLoginTimeout closes a connection that does not log in, whatever else it
// says, and none that has.
func TestLoginTimeout(t *testing.T) {
	g, _ := guardOf(t, "alice:secret")
	address := startServer(t, func(o *memcachedfront.Options) {
		o.Guard, o.LoginTimeout = g, 300*time.Millisecond
	})
	alice, stored := net.Conn(nil), []byte("STORED\r\n")
	await(t, "a login that is in time", func() bool {
		alice = dial(t, "tcp", address)
		send(t, alice, textGood)
		_, err := io.ReadFull(alice, stored)
		return err == nil
	})
	if string(stored) != "STORED\r\n" {
		t.Fatalf("alice got %q", stored)
	}
	silent, busy := dial(t, "tcp", address), dial(t, "tcp", address)
	for {
		if _, err := io.WriteString(busy, "version\r\n"); err != nil {
			break
		}
		if _, err := busy.Read(make([]byte, 100)); err != nil {
			break
		}
	}
	if _, err := silent.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a silent connection stays open")
	}
	send(t, alice, "get none\r\n")
	expect(t, alice, "END\r\n")
}
