//go:build !unix

package processors

import "time"

// Used returns the processor time that the process has used, which is not known on
// this platform.
func Used() (user, system time.Duration) { return 0, 0 }
