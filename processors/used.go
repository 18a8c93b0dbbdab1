package processors

import (
	"time"

	"golang.org/x/sys/unix"
)

// used is the processor time that the process has used; 0 if the system does not say.
func used() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
