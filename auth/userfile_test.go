package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func writeUsers(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func openUsers(t testing.TB, content string) *UserFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	writeUsers(t, path, content)
	f, err := OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func hashOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestUserFileChecksEveryKindOfPassword(t *testing.T) {
	hash := hashOf(t, "hashed secret")
	apache := "$2y$" + strings.TrimPrefix(hash, "$2a$")
	f := openUsers(t, "# sessions\n\nalice:plain:with:colons\r\nbob:"+hash+"\nbob:second\ncarol:"+apache+"\nno newline:at the end")
	for _, c := range []struct {
		user, password string
		want           bool
	}{
		{"alice", "plain:with:colons", true},
		{"alice", "plain", false},
		{"alice", "plain:with:colons\r", false},
		{"alice", "", false},
		{"ALICE", "plain:with:colons", false},
		{"bob", "hashed secret", true},
		{"bob", "second", true},
		{"bob", hash, false},
		{"bob", "third", false},
		{"carol", "hashed secret", true},
		{"carol", "second", false},
		{"no newline", "at the end", true},
		{"# sessions", "", false},
		{"nobody", "plain:with:colons", false},
		{"nobody", "hashed secret", false},
		{"", "", false},
	} {
		if _, got := f.users.Load().check([]byte(c.user), []byte(c.password)); got != c.want {
			t.Errorf("check(%q, %q) = %v, want %v", c.user, c.password, got, c.want)
		}
	}
}

func TestUserFileRefusesWhatItCannotMean(t *testing.T) {
	long := strings.Repeat("x", MaxFieldLen+1)
	for _, c := range []struct{ content, problem string }{
		{"", "no users"},
		{"# only\n\n", "no users"},
		{"alice:ok\nalice", "line 2"},
		{":password", "line 1"},
		{"alice:", "line 1"},
		{"alice:\r\n", "line 1"},
		{long + ":p", "line 1"},
		{"alice:" + long, "line 1"},
		{"alice:$2a$99$tooexpensive", "bcrypt"},
		{"alice:$2b$", "bcrypt"},
	} {
		if _, err := parseUsers([]byte(c.content)); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("parseUsers(%.20q): %v, want an error that says %q", c.content, err, c.problem)
		}
	}
}

func TestReloadKeepsTheUsersWhenItFails(t *testing.T) {
	f := openUsers(t, "alice:one")
	right := func(password string) bool {
		_, right := f.users.Load().check([]byte("alice"), []byte(password))
		return right
	}

	writeUsers(t, f.path, "alice:two")
	if err := f.Reload(); err != nil || right("one") || !right("two") {
		t.Fatalf("after a reload: %v, one %v, two %v", err, right("one"), right("two"))
	}
	writeUsers(t, f.path, "")
	if err := f.Reload(); !errors.Is(err, ErrNoUsers) || !right("two") {
		t.Fatalf("after an empty file: %v, two %v", err, right("two"))
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); !errors.Is(err, os.ErrNotExist) || !right("two") {
		t.Fatalf("after the file is gone: %v, two %v", err, right("two"))
	}
}

func TestBeatIsOfTheMostExpensiveHash(t *testing.T) {
	cheap := hashOf(t, "a")
	costly, err := bcrypt.GenerateFromPassword([]byte("b"), bcrypt.MinCost+1)
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range []string{"a:" + cheap + "\nb:" + string(costly), "b:" + string(costly) + "\na:" + cheap} {
		u, err := parseUsers([]byte(order + "\nc:plain"))
		if err != nil || string(u.costliest()) != string(costly) || u.beat() <= 0 {
			t.Errorf("%q (%v), want %q", u.costliest(), err, costly)
		}
	}
	u, err := parseUsers([]byte("c:plain"))
	if err != nil || u.beat() != 0 {
		t.Errorf("a beat of %v (%v) without a hash in the file", u.beat(), err)
	}
}

func TestTicketsEndWithTheirLine(t *testing.T) {
	f := openUsers(t, "alice:one\nalice:two\nbob:three")
	ticket := func(user, password string) Ticket {
		ticket, right := f.users.Load().check([]byte(user), []byte(password))
		if !right || ticket.User != user {
			t.Fatalf("%s: %v, %v", user, ticket, right)
		}
		return ticket
	}
	first, second, bob := ticket("alice", "one"), ticket("alice", "two"), ticket("bob", "three")
	writeUsers(t, f.path, "alice:two\ncarol:three")
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	u := f.users.Load()
	for _, c := range []struct {
		ticket Ticket
		valid  bool
	}{
		{first, false}, {second, true}, {bob, false},
		{Ticket{User: "carol", Proof: bob.Proof}, false},
		{Ticket{User: "alice"}, true}, {Ticket{User: "bob"}, false}, {Ticket{}, false},
	} {
		if u.valid(c.ticket) != c.valid {
			t.Errorf("%v is valid: %v, want %v", c.ticket, !c.valid, c.valid)
		}
	}
}

func FuzzParseUsers(f *testing.F) {
	f.Add([]byte("alice:one\n#\n\nbob:$2a$04$x"), "alice", "one")
	f.Fuzz(func(t *testing.T, data []byte, user, password string) {
		u, err := parseUsers(data)
		if err != nil || u.costliest() != nil {
			return
		}
		if _, right := u.check([]byte(user), []byte(password)); right && !strings.Contains(string(data), user+":"+password) {
			t.Errorf("%q %q was accepted by %q", user, password, data)
		}
	})
}
