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

// TestBruteForce guesses a password on many connections at once. Guesses are
// slowed down, who is logged in goes on meanwhile, and the log, at its most
// talkative, shows neither passwords, nor guesses, nor what sessions hold.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	const password, value = "the-right-password-4711", "what-a-session-holds-0815"
	s := newServer(t, "-vv")
	file := filepath.Join(filepath.Dir(s.sock), "users")
	if err := os.WriteFile(file, []byte("alice:"+password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.flags = append(s.flags, "--auth-file", file)
	s.start()
	login := func(c *client, password string) (string, error) {
		c.conn.SetDeadline(time.Now().Add(patience))
		token := "alice " + password
		if _, err := fmt.Fprintf(c.conn, "set auth 0 0 %d\r\n%s\r\n", len(token), token); err != nil {
			return "", err
		}
		return readLine(c.r)
	}
	enter := func() *client {
		c := s.mustConnect(text{})
		if line, err := login(c, password); err != nil || line != "STORED" {
			t.Fatalf("login: %q, %v", line, err)
		}
		return c
	}
	inside := enter() // before the guesses, which come from the same origin

	clients, length := rounds(50, 500), span(2*time.Second, time.Minute)
	var guesses atomic.Int64
	end := time.Now().Add(length)
	var wg sync.WaitGroup
	for i := range clients {
		c := s.mustConnect(text{})
		wg.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				line, err := login(c, fmt.Sprintf("guessed-%d-%d", i, n))
				guesses.Add(1)
				if err != nil || line != "CLIENT_ERROR authentication failure" {
					t.Errorf("guess: %q, %v", line, err)
					return
				}
			}
		})
	}
	for n := 0; time.Now().Before(end); n++ {
		c := inside
		c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte(value), Expiry: session.Never})
		c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: []byte("k")})
		time.Sleep(5 * time.Millisecond)
	}
	wg.Wait()
	// A guess takes ten seconds on a busy server, the first few less.
	if most := int64(clients) * (3 + int64(length/(5*time.Second))); guesses.Load() > most {
		t.Errorf("%d guesses within %v, want at most %d", guesses.Load(), length, most)
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
	figures(t, "%d guesses on %d connections in %v; %d lines of log without a secret", guesses.Load(), clients, length, lines)
}
