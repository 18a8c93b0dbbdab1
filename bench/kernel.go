package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// kernelCPU is the processor time that the kernel's own threads have used since the
// machine started: what they do for a server, such as a sync that it does not wait for
// itself, is counted for no process. Threads that have ended are not in it.
func kernelCPU() time.Duration {
	const (
		parent = 4 - 3 // the fields of proc_pid_stat(5), behind the name
		user   = 14 - 3
		system = 15 - 3

		tick = 10 * time.Millisecond
	)
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	var ticks int
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) <= system || string(fields[parent]) != "2" { // kthreadd
			continue
		}
		for _, field := range []int{user, system} {
			n, _ := strconv.Atoi(string(fields[field]))
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}
