package ttl

import (
	"time"

	"golang.org/x/sys/unix"
)

// asleep is the time the machine has been suspended since it booted: what
// CLOCK_BOOTTIME counts and CLOCK_MONOTONIC does not (clock_gettime(2)).
func asleep() time.Duration {
	var boot, monotonic unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - monotonic.Nano())
}
