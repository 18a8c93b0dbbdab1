package protocol

import (
	"time"

	"cairn/session"
)

// maxRelative is the largest expiration time in seconds that counts from now;
// a larger one is a Unix time. See "Expiration times" in memcached's
// protocol.txt.
const maxRelative = 60 * 60 * 24 * 30

// Expiry returns the instant at which an item with the given exptime is gone, by
// memcached's rules: 0 is never, up to 30 days counts in seconds from now, more
// is a Unix time, and less than 0 is already past.
func Expiry(exptime int64, now session.Time) session.Time {
	switch {
	case exptime == 0:
		return session.Never
	case exptime < 0:
		return now
	case exptime <= maxRelative:
		return now.Add(time.Duration(exptime) * time.Second)
	}
	return session.FromUnix(exptime)
}

// TTL returns the seconds an item has left, rounded up, as the meta flag t
// returns them: -1 for an item that does not expire.
func TTL(expiry, now session.Time) int64 {
	if expiry == session.Never {
		return -1
	}
	return (int64(expiry-now) + 999) / 1000
}
