package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/session"
)

// user is the name that the server of withUser knows.
const user = "alice"

// withUser starts a server with one user and the flags. It listens on the address
// too, which is another origin than its Unix socket.
func withUser(t *testing.T, password, address string, flags ...string) *server {
	t.Helper()
	s := newServer(t, append(flags, "-l", address)...)
	file := filepath.Join(filepath.Dir(s.sock), "users")
	if err := os.WriteFile(file, []byte(user+":"+password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.flags = append(s.flags, "--auth-file", file)
	s.start()
	return s
}

// login tries a password and returns what the server says.
func (c *client) login(name, password string) (string, error) {
	c.conn.SetDeadline(time.Now().Add(patience))
	token := name + " " + password
	if _, err := fmt.Fprintf(c.conn, "set auth 0 0 %d\r\n%s\r\n", len(token), token); err != nil {
		return "", err
	}
	return readLine(c.r)
}

// guess tries wrong passwords on connections of an address until the time. wait
// waits for the last answers and returns how many there were.
func guess(t *testing.T, address string, clients int, until time.Time) (wait func() int64) {
	t.Helper()
	var guesses atomic.Int64
	var wg sync.WaitGroup
	for i := range clients {
		c, err := connectTo("tcp", address, text{})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer c.close()
			for n := 0; time.Now().Before(until); n++ {
				line, err := c.login(user, fmt.Sprintf("guessed-%d-%d", i, n))
				guesses.Add(1)
				if err != nil || line != "CLIENT_ERROR authentication failure" {
					t.Errorf("guess: %q, %v", line, err)
					return
				}
			}
		})
	}
	return func() int64 {
		wg.Wait()
		return guesses.Load()
	}
}

// TestBruteForce guesses a password on many connections at once, over TCP. Guesses
// are slowed down; who knows the password gets in meanwhile over the Unix socket,
// which is an origin of its own, and goes on; and the log, at its most talkative,
// shows neither passwords, nor guesses, nor what sessions hold.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	const password, value = "the-right-password-4711", "what-a-session-holds-0815"
	address := freeAddress(t)
	s := withUser(t, password, address, "-vv")
	clients, length := rounds(50, 500), span(2*time.Second, time.Minute)
	end := time.Now().Add(length)
	wait := guess(t, address, clients, end)
	logins := 0
	for ; time.Now().Before(end) || logins < 10; logins++ {
		c := s.mustConnect(text{})
		if line, err := c.login(user, password); err != nil || line != "STORED" {
			t.Fatalf("login: %q, %v", line, err)
		}
		c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte(value), Expiry: session.Never})
		c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: []byte("k")})
		time.Sleep(5 * time.Millisecond)
	}
	guesses := wait()
	// A guess takes ten seconds on a busy server, the first few less.
	if most := int64(clients) * (3 + int64(length/(5*time.Second))); guesses > most {
		t.Errorf("%d guesses within %v, want at most %d", guesses, length, most)
	}
	for _, secret := range []string{password, value, "guessed-"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
	if !strings.Contains(s.log.String(), "authentication failed") {
		t.Error("the log does not tell of the guesses")
	}
	lines, _ := s.log.count()
	figures(t, "%d guesses on %d connections in %v, %d logins meanwhile; %d lines of log without a secret", guesses, clients, length, logins, lines)
}
