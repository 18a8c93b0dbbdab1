package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cairn/cmd/cairn/config"
)

// slacks returns how late each thread of a process may be woken up.
func slacks(t *testing.T, pid int) map[string]time.Duration {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]time.Duration{}
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join("/proc", task.Name(), "timerslack_ns"))
		if err != nil {
			continue // a thread that has ended
		}
		var ns int64
		if _, err := fmt.Sscan(string(text), &ns); err != nil {
			t.Fatal(err)
		}
		found[task.Name()] = time.Duration(ns)
	}
	if len(found) < 2 {
		t.Fatalf("the process has %d threads", len(found))
	}
	return found
}

// All threads have the slack, that of Go's system monitor among them, in the process
// that was started and with its arguments.
func TestTimerSlack(t *testing.T) {
	for _, c := range []struct {
		args []string
		want time.Duration
	}{
		{[]string{"--timer-slack", config.New().TimerSlack.String()}, 250 * time.Microsecond},
		{[]string{"--timer-slack", "2ms"}, 2 * time.Millisecond},
		{[]string{"--timer-slack", "0"}, 50 * time.Microsecond},
	} {
		r := start(t, t.TempDir(), c.args...)
		for task, slack := range slacks(t, r.cmd.Process.Pid) {
			if slack != c.want {
				t.Errorf("%v: thread %s has a slack of %v, want %v", c.args, task, slack, c.want)
			}
		}
		r.cmd.Process.Signal(unix.SIGTERM)
		if code := r.ends(); code != exitOK {
			t.Errorf("%v: exit code %d\n%s", c.args, code, r.log())
		}
	}
}

// Whoever starts the server may have chosen a longer slack, which stays.
func TestTimerSlackOfTheParent(t *testing.T) {
	runtime.LockOSThread() // for good: the thread ends with this test
	const chosen = 3 * time.Millisecond
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(chosen), 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	r := start(t, t.TempDir(), "--timer-slack", "250us")
	for task, slack := range slacks(t, r.cmd.Process.Pid) {
		if slack != chosen {
			t.Errorf("thread %s has a slack of %v, want %v", task, slack, chosen)
		}
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(environ, []byte(slackVariable)) {
		t.Error("the program was started again for nothing")
	}
}
