package session

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

var errDuration = errors.New("must be a length of time, such as 30d, 12h or 1d12h")

// ParseDuration reads a length of time as operators write it: what
// time.ParseDuration reads, and whole days before it, such as 30d or 1d12h. It
// is never negative.
func ParseDuration(text string) (time.Duration, error) {
	var total time.Duration
	days, rest, found := strings.Cut(text, "d")
	if found {
		const day = 24 * time.Hour
		n, err := strconv.ParseUint(days, 10, 63)
		if err != nil || n > uint64(1<<63-1)/uint64(day) {
			return 0, errDuration
		}
		total = time.Duration(n) * day
	} else {
		rest = text
	}
	if rest != "" || !found {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || total+d < total {
			return 0, errDuration
		}
		total += d
	}
	return total, nil
}

// FormatDuration writes d so that ParseDuration reads it.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	text := ""
	if d >= day {
		text = strconv.FormatInt(int64(d/day), 10) + "d"
		d %= day
	}
	if d > 0 || text == "" {
		s := d.String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		text += s
	}
	return text
}
