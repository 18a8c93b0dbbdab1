//go:build !cairn_shifted_clock

package ttl

import "time"

// wall is what the machine believes the time to be.
func wall() time.Time { return time.Now() }
