package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"cairn/processors"
)

// MaxFieldLen is the longest user name and the longest password in bytes.
const MaxFieldLen = 255

// ErrNoUsers is the error of a user file without a single user: nobody could
// log in.
var ErrNoUsers = errors.New("auth: no users in the file")

// UserFile is the list of users in a file. It is safe for concurrent use.
//
// Every line is "user:password", as in memcached's --auth-file. A password
// that begins with $2a$, $2b$ or $2y$ is a bcrypt hash, as htpasswd -B writes
// it; bcrypt looks at no more than the first 72 bytes of what a client sends.
// Any other password stands for itself. A user may have several lines: each of
// the passwords is right, which helps while one is being changed. Blank lines
// and lines that begin with # mean nothing.
type UserFile struct {
	path    string
	users   atomic.Pointer[users]
	reloads atomic.Uint64
}

// OpenUserFile reads the file at path.
func OpenUserFile(path string) (*UserFile, error) {
	f := &UserFile{path: path}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file again. If that fails, the users stay as they were.
func (f *UserFile) Reload() error {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	u, err := parseUsers(data)
	if err != nil {
		return fmt.Errorf("%w (%s)", err, f.path)
	}
	u.generation = f.reloads.Add(1)
	f.users.Store(u)
	return nil
}

// users is the content of a user file at one moment. Only keyed digests of
// names and plain passwords are kept, which also gives all of them one length
// to compare.
type users struct {
	entries    []entry
	names      map[digest]bool
	generation uint64 // different after every reload

	// beat is longer than any hash in the file takes to compute; 0 if there is
	// none.
	beat func() time.Duration
}

type entry struct {
	name   digest
	plain  digest // of the password; unused if hashed is set
	hashed []byte // bcrypt, or nil
	proof  []byte // see Ticket
}

// digest stands for a name or a password. Its key lives as long as the process.
type digest [sha256.Size]byte

var digestKey = func() (key digest) {
	rand.Read(key[:])
	return key
}()

func digestOf(b []byte) (d digest) {
	mac := hmac.New(sha256.New, digestKey[:])
	mac.Write(b)
	mac.Sum(d[:0])
	return d
}

func parseUsers(data []byte) (*users, error) {
	u := &users{names: map[digest]bool{}}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := u.add(line); err != nil {
			return nil, fmt.Errorf("auth: user file line %d: %w", number, err)
		}
	}
	if len(u.entries) == 0 {
		return nil, ErrNoUsers
	}
	u.beat = sync.OnceValue(u.measure)
	return u, nil
}

func (u *users) add(line []byte) error {
	name, password, found := bytes.Cut(line, []byte{':'})
	switch {
	case !found:
		return errors.New("no colon between user and password")
	case len(name) == 0 || len(password) == 0:
		return errors.New("the user or the password is empty")
	case len(name) > MaxFieldLen || len(password) > MaxFieldLen:
		return fmt.Errorf("the user or the password is longer than %d bytes", MaxFieldLen)
	}
	e := entry{name: digestOf(name), proof: proofOf(name, password)}
	u.names[e.name] = true
	if isBcrypt(password) {
		if _, err := bcrypt.Cost(password); err != nil {
			return fmt.Errorf("not a bcrypt hash: %w", err)
		}
		e.hashed = bytes.Clone(password)
	} else {
		e.plain = digestOf(password)
	}
	u.entries = append(u.entries, e)
	return nil
}

// measure computes the most expensive hash once and returns twice the time
// that took.
func (u *users) measure() time.Duration {
	hashed := u.costliest()
	if hashed == nil {
		return 0
	}
	began := time.Now()
	matches(hashed, nil)
	return 2 * time.Since(began)
}

func (u *users) costliest() (hashed []byte) {
	most := 0
	for i := range u.entries {
		if cost, err := bcrypt.Cost(u.entries[i].hashed); err == nil && cost > most {
			most, hashed = cost, u.entries[i].hashed
		}
	}
	return hashed
}

// check reports whether the user has that password.
func (u *users) check(user, password []byte) (t Ticket, right bool) {
	name, plain := digestOf(user), digestOf(password)
	matched := -1
	for i := range u.entries {
		e := &u.entries[i]
		named := subtle.ConstantTimeCompare(e.name[:], name[:])
		if e.hashed != nil {
			if named == 1 && matches(e.hashed, password) == 1 {
				matched = i
			}
			continue
		}
		same := named & subtle.ConstantTimeCompare(e.plain[:], plain[:])
		matched = subtle.ConstantTimeSelect(same, i, matched)
	}
	if matched < 0 {
		return Ticket{}, false
	}
	return Ticket{User: string(user), Proof: u.entries[matched].proof}, true
}

// valid reports whether the line of a Ticket is still in the file.
func (u *users) valid(t Ticket) bool {
	name := digestOf([]byte(t.User))
	if len(t.Proof) == 0 {
		return u.names[name]
	}
	return slices.ContainsFunc(u.entries, func(e entry) bool {
		return e.name == name && bytes.Equal(e.proof, t.Proof)
	})
}

func matches(hashed, password []byte) int {
	processors.Begin()
	defer processors.End()
	if bcrypt.CompareHashAndPassword(hashed, password) != nil {
		return 0
	}
	return 1
}

func isBcrypt(password []byte) bool {
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		if bytes.HasPrefix(password, []byte(prefix)) {
			return true
		}
	}
	return false
}
