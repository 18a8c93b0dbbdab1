package engine

import (
	"fmt"
	"strings"
	"time"
)

// Durability says when a write is acknowledged.
type Durability struct {
	// Interval is 0 for sync: an acknowledged write is on the disk. Otherwise
	// writes are acknowledged at once and the log is synced this often: a crash
	// of the machine can take back what was acknowledged within the last
	// Interval (plus the time of one sync); a crash of the process alone takes
	// back as much, because the log is buffered in it.
	Interval time.Duration
}

// MaxInterval bounds Durability.Interval.
const MaxInterval = 10 * time.Second

// ParseDurability reads "sync" or "interval:<duration>".
func ParseDurability(s string) (Durability, error) {
	if s == "sync" {
		return Durability{}, nil
	}
	text, ok := strings.CutPrefix(s, "interval:")
	if !ok {
		return Durability{}, fmt.Errorf("durability %q: want sync or interval:<duration>", s)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return Durability{}, fmt.Errorf("durability %q: %w", s, err)
	}
	durability := Durability{Interval: d}
	if d <= 0 {
		return Durability{}, fmt.Errorf("durability %q: the interval must be positive", s)
	}
	return durability, durability.check()
}

// String returns what ParseDurability reads.
func (d Durability) String() string {
	if d.Interval == 0 {
		return "sync"
	}
	return "interval:" + d.Interval.String()
}

func (d Durability) check() error {
	if d.Interval < 0 || d.Interval > MaxInterval {
		return fmt.Errorf("durability interval %v: must be at most %v", d.Interval, MaxInterval)
	}
	return nil
}
