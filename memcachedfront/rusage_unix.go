//go:build unix

package memcachedfront

import (
	"syscall"
	"time"
)

// cpuTimes returns the processor time that the process has used.
func cpuTimes() (user, system time.Duration) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0, 0
	}
	return time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
}
