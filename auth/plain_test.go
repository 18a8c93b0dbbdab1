package auth

import (
	"bytes"
	"strings"
	"testing"
)

func TestParsePlain(t *testing.T) {
	long := strings.Repeat("x", MaxFieldLen+1)
	for _, c := range []struct {
		message, user, password string
		ok                      bool
	}{
		{"\x00alice\x00secret", "alice", "secret", true},
		{"alice\x00alice\x00secret", "alice", "secret", true},
		{"\x00alice\x00s p:\xff", "alice", "s p:\xff", true},
		{"bob\x00alice\x00secret", "", "", false},
		{"\x00alice\x00", "", "", false},
		{"\x00\x00secret", "", "", false},
		{"alice\x00secret", "", "", false},
		{"\x00alice\x00secret\x00", "", "", false},
		{"\x00" + long + "\x00p", "", "", false},
		{"\x00u\x00" + long, "", "", false},
		{"", "", "", false},
	} {
		user, password, err := ParsePlain([]byte(c.message))
		if (err == nil) != c.ok || c.ok && (string(user) != c.user || string(password) != c.password) {
			t.Errorf("ParsePlain(%.30q) = %q, %q, %v", c.message, user, password, err)
		}
	}
}

func TestParseToken(t *testing.T) {
	for _, c := range []struct {
		token, user, password string
		ok                    bool
	}{
		{"alice secret", "alice", "secret", true},
		{"alice two words", "alice", "two words", true},
		{"alice ", "", "", false},
		{" secret", "", "", false},
		{"alice", "", "", false},
		{"", "", "", false},
	} {
		user, password, err := ParseToken([]byte(c.token))
		if (err == nil) != c.ok || c.ok && (string(user) != c.user || string(password) != c.password) {
			t.Errorf("ParseToken(%q) = %q, %q, %v", c.token, user, password, err)
		}
	}
}

func FuzzParsePlain(f *testing.F) {
	f.Add([]byte("\x00alice\x00secret"))
	f.Add([]byte("alice\x00alice\x00secret"))
	f.Fuzz(func(t *testing.T, message []byte) {
		user, password, err := ParsePlain(message)
		if err != nil {
			return
		}
		again := bytes.Join([][]byte{nil, user, password}, []byte{0})
		if !bytes.HasSuffix(message, again) {
			t.Errorf("%q became %q", message, again)
		}
	})
}
