package ttl

import "time"

// System is the machine's own time.
func System() Source {
	start := time.Now()
	return Source{
		Wall:    time.Now,
		Elapsed: func() time.Duration { return time.Since(start) },
		Asleep:  asleep,
	}
}
