//go:build unix

package processors

import (
	"syscall"
	"time"
)

// Used returns the processor time that the process has used, in its own code and in the
// system's.
func Used() (user, system time.Duration) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0, 0
	}
	return time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
}
