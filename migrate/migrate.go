// Package migrate reads sessions from where they are kept today: a running
// memcached or Redis, the files of PHP's own session handler, a table of
// another database. Nothing at the source is changed.
package migrate

import (
	"crypto/tls"
	"errors"
	"time"
)

// Record is one session of a source.
type Record struct {
	Key   []byte
	Value []byte
	Flags uint32

	// Expires is when the session ends; the zero Time: never.
	Expires time.Time
}

// Emit gets the sessions of a source one by one, and how many there are in all
// as far as the source knows (0: it does not). The record is valid only during
// the call. An error ends the migration, which returns it.
type Emit func(total int64, r *Record) error

// Options say how a source is reached and what is taken from it. The zero value
// is ready to use.
type Options struct {
	// TLS is the configuration for addresses that ask for TLS. nil: the
	// system's authorities are trusted.
	TLS *tls.Config

	// Match is a glob pattern, as Redis has them, for the keys of a Redis.
	// Empty: all keys.
	Match string

	// Skipped, if not nil, hears of each session that is left out because it
	// cannot be one here, with the reason. The key is valid only during the
	// call.
	Skipped func(key []byte, reason string)
}

// Summary counts what was read but not emitted.
type Summary struct {
	// Gone ended between being listed and being read.
	Gone int64

	// Unsuitable cannot be sessions here: keys longer than Cairn's, values
	// that are not strings, what the source could not hand over.
	Unsuitable int64
}

// skip counts a session that is left out.
func (s *Summary) skip(o *Options, key []byte, reason string) {
	s.Unsuitable++
	if o.Skipped != nil {
		o.Skipped(key, reason)
	}
}

// timeout bounds each wait for a source, not the whole migration.
const timeout = 30 * time.Second

// batch is how many sessions are asked for at a time.
const batch = 128

var errProtocol = errors.New("the server's answer is not valid")

// latest is the last instant that an expiry can name in an import, which has
// years of four digits. What lives longer lives for ever.
var latest = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// after returns the expiry of a session that has so much time left, in units of
// unit, a second or a millisecond; the zero Time if it does not end before
// latest, or if left is negative. A Duration would overflow after 292 years.
func after(now time.Time, left int64, unit time.Duration) time.Time {
	perUnit := int64(unit / time.Millisecond)
	if left < 0 || left > (latest.UnixMilli()-now.UnixMilli())/perUnit {
		return time.Time{}
	}
	return time.UnixMilli(now.UnixMilli() + left*perUnit)
}
