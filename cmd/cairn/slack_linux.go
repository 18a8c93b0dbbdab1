package main

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// slacken lets the kernel wake threads of this process up to slack later than their
// timers say, so that one wake-up does for several. It spares what Go's system monitor
// costs, which sleeps 20 µs at a time while a write waits for the disk.
//
// A thread has the slack of the one that started it, and the monitor runs before main
// does, so the program is started again in this process: the process id, the open
// files, the arguments and environ stay. slacken returns if there is nothing to change,
// or if the system does not let it; then timers are as they were.
func slacken(slack time.Duration, environ []string) {
	if _, again := variable(environ, slackVariable); again {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || time.Duration(before) >= slack {
		return
	}
	program, err := os.Executable()
	if err != nil || unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) != nil {
		return
	}
	_ = unix.Exec(program, os.Args, append(environ, slackVariable+"=1")) // returns if it fails
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(before), 0, 0, 0)     // which has worked before
}
