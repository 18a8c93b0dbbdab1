package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// readyVariable tells a process in the background the descriptor on which its
// parent waits to hear that it serves.
const readyVariable = "_CAIRN_READY_FD"

// startDaemon runs this program again with the same arguments in a session of
// its own, and returns 0 once it serves. If it ends instead, its messages have
// been copied to stderr and its exit code is returned.
func startDaemon(args, environ []string, stderr io.Writer) int {
	code, err := spawn(args, environ, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "cairn: cannot start in the background:", err)
		return exitFailure
	}
	return code
}

func spawn(args, environ []string, stderr io.Writer) (int, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	ready, child, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	cmd := exec.Command(program, args...)
	cmd.Env = append(environ, readyVariable+"=3")
	cmd.ExtraFiles = []*os.File{child}
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	child.Close()
	if err != nil {
		return 0, err
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return exitOK, cmd.Process.Release()
	}
	cmd.Wait()
	return cmd.ProcessState.ExitCode(), nil
}

// inBackground reports whether this process was started by startDaemon.
func inBackground(environ []string) bool {
	_, ok := readyFD(environ)
	return ok
}

func readyFD(environ []string) (fd int, ok bool) {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, readyVariable+"="); found {
			fd, err := strconv.Atoi(value)
			return fd, err == nil
		}
	}
	return 0, false
}

// detach lets the parent of a process in the background go: standard output
// and error lead to the log file from here on, so that even a crash leaves its
// trace there.
func detach(environ []string, logFile string) error {
	fd, ok := readyFD(environ)
	if !ok {
		return nil
	}
	out, err := os.OpenFile(logFile, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, std := range []int{1, 2} {
		if err := unix.Dup3(int(out.Fd()), std, 0); err != nil {
			return err
		}
	}
	ready := os.NewFile(uintptr(fd), "ready")
	defer ready.Close()
	_, err = ready.Write([]byte{1})
	return err
}
