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
	const tick = 10 * time.Millisecond
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	var ticks int
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		ticks += kernelTicks(stat)
	}
	return time.Duration(ticks) * tick
}

// kernelTicks is the processor time that a process has used, in clock ticks, by its
// stat file as proc_pid_stat(5) describes it; 0 for one that is no thread of the kernel.
func kernelTicks(stat []byte) (ticks int) {
	const (
		kthreadd = "2" // the parent of all threads of the kernel

		// Fields, from the one behind the name on, which may have spaces in it.
		parent = 4 - 3
		user   = 14 - 3
		system = 15 - 3
	)
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system || string(fields[parent]) != kthreadd {
		return 0
	}
	for _, field := range fields[user : system+1] {
		n, _ := strconv.Atoi(string(field))
		ticks += n
	}
	return ticks
}
