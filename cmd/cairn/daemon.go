package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"cairn/cmd/cairn/config"
)

// readyVariable tells a process in the background the descriptor on which its
// parent waits to hear that it serves.
const readyVariable = "_CAIRN_READY_FD"

// slackVariable tells a process that slacken has started the program again.
const slackVariable = "_CAIRN_TIMER_SLACK"

// startDaemon runs this program again with the same arguments in a session of
// its own, and returns 0 once it serves. If it ends instead, its messages have
// been copied to stderr and its exit code is returned.
//
// One that takes over is not this process's child but its sibling, so that
// service managers see it as one of theirs; its exit code is not known.
func startDaemon(args, environ []string, stderr io.Writer, takeOver bool) int {
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(stderr, "cairn: cannot start in the background:", err)
		return exitFailure
	}
	code, err := spawn(program, args, environ, stderr, takeOver)
	if err != nil {
		fmt.Fprintln(stderr, "cairn: cannot start in the background:", err)
		return exitFailure
	}
	return code
}

// spawn runs a program as startDaemon says.
func spawn(program string, args, environ []string, stderr io.Writer, sibling bool) (int, error) {
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
	if sibling {
		makeSibling(cmd.SysProcAttr)
	}
	err = cmd.Start()
	child.Close()
	if err != nil {
		return 0, err
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return exitOK, cmd.Process.Release()
	}
	if sibling {
		return exitFailure, cmd.Process.Release()
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
	value, ok := variable(environ, readyVariable)
	if !ok {
		return 0, false
	}
	fd, err := strconv.Atoi(value)
	return fd, err == nil
}

// variable returns the value of an environment variable.
func variable(environ []string, name string) (value string, ok bool) {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// detach lets the process that waits for one in the background go. A daemon's
// standard output and error lead to the log file from here on, so that even a
// crash leaves its trace there.
func detach(environ []string, cfg *config.Config) error {
	fd, ok := readyFD(environ)
	if !ok {
		return nil
	}
	if cfg.Daemon && cfg.LogFile != "" {
		if err := divert(cfg.LogFile); err != nil {
			return err
		}
	}
	ready := os.NewFile(uintptr(fd), "ready")
	defer ready.Close()
	ready.Write([]byte{1}) // who waited may have gone: it is the process before
	return nil
}

// divert makes standard output and error lead to a file.
func divert(path string) error {
	out, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, std := range []int{1, 2} {
		if err := duplicate(int(out.Fd()), std); err != nil {
			return err
		}
	}
	return nil
}
