package policy

import (
	"errors"
	"fmt"
	"time"
)

// maxPark is the longest that a client may be made to wait for a lock: PHP's takes a
// server for dead that does not answer for 7 s, and no harm at 4 s.
const maxPark = 4 * time.Second

// lock takes over what f says about locks.
func (r *Rule) lock(f *fileRule) error {
	r.Volatile, r.Park, r.FreeOnClose = f.Volatile, time.Duration(f.Park), f.FreeOnClose
	switch {
	case (r.Park > 0 || r.FreeOnClose) && !r.Volatile:
		return errors.New("park and free-on-close need locks that are volatile")
	case r.Volatile && len(f.Locks) == 0:
		return errors.New("volatile is for locks, of which the rule has none")
	case r.Park < 0 || r.Park > maxPark:
		return fmt.Errorf("park must be at most %v", maxPark)
	}
	return nil
}

// Volatile reports whether any rule has locks that are volatile.
func (s *Set) Volatile() bool { return s != nil && s.locks }

// VolatileLock returns the rule of key if that is a lock to be kept in memory only;
// nil: it is not.
func (s *Set) VolatileLock(key []byte) *Rule {
	if rule, kind := s.For(key); kind == Lock && rule.Volatile {
		return rule
	}
	return nil
}
