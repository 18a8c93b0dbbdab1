package migrate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Source is a running memcached (1.6 or later) or Redis whose sessions are read,
// stored and removed one by one.
type Source struct {
	address *address
	redis   bool
	tls     *tls.Config
}

// Credentials are who Cairn is at a Source. The zero Credentials are nobody.
type Credentials struct{ User, Password string }

// OpenSource reads an address: memcached://host:port, memcacheds:// and redis://
// and rediss:// likewise, the latter with the database behind it, or
// memcached+unix:// and redis+unix:// and an absolute path. It connects to nobody. config is used for TLS; nil: the system's authorities are trusted. A
// password must not stand in the address, because addresses are shown.
func OpenSource(target string, as Credentials, config *tls.Config) (*Source, error) {
	s := &Source{tls: config}
	syntax := &memcachedScheme
	if strings.HasPrefix(target, "redis") {
		s.redis, syntax = true, &redisScheme
	} else if !strings.HasPrefix(target, "memcached") {
		return nil, errors.New("the address of another store begins with memcached://, memcacheds://, redis:// or rediss://")
	}
	if path, ok := strings.CutPrefix(target, "memcached+unix://"); ok {
		target = "unix://" + path
	} else if path, ok := strings.CutPrefix(target, "redis+unix://"); ok {
		target = "unix://" + path
	}
	var err error
	if s.address, err = syntax.parse(target); err != nil {
		return nil, err
	}
	if s.address.hasPassword || s.address.user != "" {
		return nil, errors.New("user and password of another store belong in a file, not in its address")
	}
	s.address.user, s.address.password, s.address.hasPassword = as.User, as.Password, as.Password != ""
	return s, nil
}

// String returns the address.
func (s *Source) String() string {
	if s.redis {
		return strings.TrimSuffix("redis://"+s.address.host+"/"+s.address.path, "/")
	}
	return "memcached://" + s.address.host
}

// CanFlush reports whether the source can be told to forget all sessions. What a
// Redis has besides them is not Cairn's.
func (s *Source) CanFlush() bool { return !s.redis }

// A Refusal is the answer of a source that works, but does not carry out a request.
type Refusal struct{ Answer string }

func (r *Refusal) Error() string { return fmt.Sprintf("it says %.200q", r.Answer) }

// Link is a connection to a Source. It is not safe for concurrent use. After an
// error that is no Refusal it is of no use any more.
type Link interface {
	// Within makes everything that follows end by an instant, or fail.
	Within(end time.Time)

	// Get calls fn with those of the sessions that are there, by their index in
	// keys. The record is valid only during the call. It is nil if the session
	// cannot be one here: its value has more than limit bytes, its flags more than
	// 32 bits.
	Get(keys [][]byte, limit int64, fn func(i int, r *Record)) error

	// Put stores sessions, and calls refused for each that the source does not take.
	Put(records []Record, refused func(i int, answer string)) error

	// Delete removes sessions. It is no error if there are none.
	Delete(keys [][]byte) error

	// Flush removes all sessions once so much time has passed.
	Flush(after time.Duration) error

	Close() error
}

// Connect connects to the source and logs in, until ctx ends.
func (s *Source) Connect(ctx context.Context) (Link, error) {
	c, err := s.address.dial(ctx, s.tls)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		c.end = end
	}
	var link Link
	if s.redis {
		link, err = newRedisLink(c, s.address)
	} else {
		link, err = newMemcachedLink(c, s.address)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return link, nil
}

// Within is Link's.
func (c *conn) Within(end time.Time) { c.end = end }
