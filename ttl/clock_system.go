package ttl

import "time"

// System is the machine's own time.
func System() Source {
	start := time.Now()
	return Source{
		Wall:    wall,
		Elapsed: func() time.Duration { return time.Since(start) },
		Asleep:  asleep,
	}
}
