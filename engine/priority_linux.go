package engine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// backgroundNice is the nice value (sched(7)) of threads that flush and compact:
// they get a third of the processor that a thread gets which serves clients.
const backgroundNice = 5

// giveWay makes the kernel prefer other threads to that of the calling
// goroutine, as long as the goroutine lives. The thread ends with it.
func giveWay() {
	runtime.LockOSThread()
	// Without effect at worst, as where a sandbox forbids it.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), backgroundNice)
}
