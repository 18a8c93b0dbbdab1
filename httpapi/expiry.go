package httpapi

import (
	"errors"
	"time"

	"cairn/adminapi"
	"cairn/session"
)

// expiryOf returns the instant that a request body asks for.
func expiryOf(e *adminapi.Expiry, now session.Time) (session.Time, error) {
	given := 0
	expiry := session.Never
	if e.NeverExpires {
		given++
	}
	if e.ExpiresAt != nil {
		given++
		expiry = session.FromTime(*e.ExpiresAt)
	}
	if e.TTLSeconds != nil {
		given++
		expiry = after(now, *e.TTLSeconds)
	}
	if given != 1 {
		return 0, errors.New("set exactly one of ttl_seconds, expires_at and never_expires")
	}
	return expiry, nil
}

// after returns the instant so many seconds after now, at most Never.
func after(now session.Time, seconds float64) session.Time {
	if ms := seconds * 1000; ms < float64(session.Never-now) {
		return now + session.Time(ms)
	}
	return session.Never
}

// lastJSONTime is the latest instant that RFC 3339 can write.
var lastJSONTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// jsonTime converts an instant for a JSON body: nil for Never, and instants
// past the year 9999 become its end.
func jsonTime(t session.Time) *time.Time {
	if t == session.Never {
		return nil
	}
	wall := t.Time()
	if t > session.FromTime(lastJSONTime) {
		wall = lastJSONTime
	}
	return &wall
}
