// Package ttl decides when sessions leave the disk: which deadline bucket a
// session belongs to, which buckets are dead, and what time it is.
//
// Sessions that expire close to each other share a bucket, and a bucket leaves
// the disk as a whole. The two rules that make this right are the caller's: a
// key's newest record stands in the highest bucket that holds the key, and a
// record expires before its bucket's deadline. For keeps the second one.
package ttl

import (
	"math"
	"time"

	"cairn/session"
)

// Bucket names a group of records that are dropped together by its deadline in
// minutes since the Unix epoch. No record in a bucket lives at or after the
// deadline. Zero is no bucket.
type Bucket uint32

// Forever is the bucket that is never dropped. It holds what does not expire,
// and what expires so late that nobody will wait for it.
const Forever Bucket = math.MaxUint32

const minute = session.Time(time.Minute / time.Millisecond)

// A width is the distance in minutes between the deadlines that sessions of a
// time to live up to most milliseconds may have. A width of about half the time
// to live leaves few live buckets to probe, and little dead data on disk.
type width struct {
	most    session.Time
	minutes session.Time
}

const (
	hour = 60 * minute
	day  = 24 * hour
	year = 365 * day
)

var widths = [...]width{
	{most: 1 * hour, minutes: 15},
	{most: 8 * hour, minutes: 2 * hour / minute},
	{most: 3 * day, minutes: 1 * day / minute},
	{most: 30 * day, minutes: 7 * day / minute},
	{most: 1 * year, minutes: 90 * day / minute},
	{most: 10 * year, minutes: 3 * year / minute},
	{most: 100 * year, minutes: 30 * year / minute},
}

// For returns the bucket of a record that is written at now and expires at
// expiry, which must be later. The deadline of the bucket is after expiry by at
// most the width of its class.
func For(expiry, now session.Time) Bucket {
	if expiry == session.Never {
		return Forever
	}
	if w := classOf(expiry - now); w != nil {
		deadline := (expiry/minute/w.minutes + 1) * w.minutes
		return Bucket(min(deadline, session.Time(Forever)))
	}
	return Forever
}

// classOf is the class of a time to live, nil if its sessions are never dropped.
func classOf(left session.Time) *width {
	for i := range widths {
		if left <= widths[i].most {
			return &widths[i]
		}
	}
	return nil
}

// Width returns for how long at most a session with that time to live stays on
// disk after it has expired, in milliseconds. false: it is never dropped.
func Width(left session.Time) (session.Time, bool) {
	w := classOf(left)
	if w == nil {
		return 0, false
	}
	return w.minutes * minute, true
}

// Deadline is the instant from which on no record in b lives; session.Never
// for Forever.
func (b Bucket) Deadline() session.Time {
	if b == Forever {
		return session.Never
	}
	return session.Time(b) * minute
}

// Dead reports whether the deadline of b has passed at now.
func (b Bucket) Dead(now session.Time) bool { return b <= LastDead(now) }

// LastDead is the highest bucket whose deadline has passed at now: it and all
// below it are dead, all above it are live.
func LastDead(now session.Time) Bucket {
	if now < 0 {
		return 0
	}
	return Bucket(min(now/minute, session.Time(Forever)-1))
}

// Minute is the minute since the Unix epoch in which t lies, or NeverMinute.
func Minute(t session.Time) int64 { return int64(t / minute) }

// NeverMinute is the minute of session.Never.
const NeverMinute = int64(session.Never / minute)

// MinuteStart is the first instant of a minute; session.Never for NeverMinute.
func MinuteStart(m int64) session.Time {
	if m >= NeverMinute {
		return session.Never
	}
	return session.Time(m) * minute
}
