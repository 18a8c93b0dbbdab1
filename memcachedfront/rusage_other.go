//go:build !unix

package memcachedfront

import "time"

// cpuTimes returns the processor time that the process has used, which is not
// known on this platform.
func cpuTimes() (user, system time.Duration) { return 0, 0 }
