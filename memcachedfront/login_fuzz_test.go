package memcachedfront

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"cairn/auth"
	"cairn/session"
)

// countingStore counts the commands that reach it.
type countingStore struct{ commands atomic.Int64 }

func (s *countingStore) Try(b *session.Burst) bool {
	s.commands.Add(int64(len(b.Commands)))
	b.SizeResults()
	return true
}

func (s *countingStore) Apply(*session.Burst, session.Completer) { panic("Try has answered") }

// strangers returns a server that nobody can log in to.
func strangers(t testing.TB, store session.Store) *Server {
	t.Helper()
	password := make([]byte, 16)
	for i := range password {
		password[i] = byte(rand.Uint32())
	}
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("user:"+hex.EncodeToString(password)), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := auth.OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return testServer(t, func(o *Options) {
		o.Store = store
		o.Guard = auth.NewGuard(users, nil)
	})
}

// Whatever a client sends that cannot log in, in whatever pieces, no command
// of it is carried out, and it cannot make the server keep much of it.
func FuzzStranger(f *testing.F) {
	for _, transcript := range transcripts() {
		f.Add([]byte(transcript), uint64(1))
	}
	f.Add([]byte("set a 0 0 11\r\nuser secret\r\nget a\r\n"), uint64(2))
	f.Add([]byte(unhex("8021000500000000000000100000000100000000000000005040504c41494e0075736572007365637265")), uint64(3))
	store := new(countingStore)
	server := strangers(f, store)
	f.Fuzz(func(t *testing.T, input []byte, pieces uint64) {
		l := newLine(server)
		rng := rand.New(rand.NewPCG(pieces, 0))
		for len(input) > 0 && !l.closed {
			n := min(1+rng.IntN(1000), len(input))
			l.receive(string(input[:n]))
			input = input[n:]
			if len(l.input) > maxLoginInput+1000 {
				t.Fatalf("%d bytes of input are kept", len(l.input))
			}
		}
		if n := store.commands.Load(); n > 0 {
			t.Fatalf("%d commands reached the store", n)
		}
		if l.conn.authenticated {
			t.Fatal("a stranger is logged in")
		}
	})
}
