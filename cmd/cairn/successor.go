package main

import (
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
)

// successor starts the process that takes this one's place.
type successor struct {
	program *program
	logger  *slog.Logger
	running atomic.Bool // one is being started
}

// start runs this program, as it is on the disk now, with the same arguments in
// the background; there it takes the server over. If it cannot, this process
// goes on.
func (s *successor) start() {
	switch {
	case os.Getpid() == 1:
		s.logger.Error("no takeover: this is the first process of a container, which ends with it")
		return
	case s.running.Swap(true):
		s.logger.Warn("a new process is being started already")
		return
	}
	go func() {
		defer s.running.Store(false)
		path := executable()
		s.logger.Info("starting a successor", "program", path)
		code, err := spawn(path, takeoverArgs(s.program.args), heritable(s.program.environ), s.program.stderr, true)
		if err != nil || code != exitOK {
			s.logger.Error("the new process did not start, its own messages say why; this server goes on", "program", path, "error", err)
		}
	}()
}

// executable returns the file that the user would start now by the name that this
// process was started by: it may have been replaced meanwhile.
func executable() string {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		path, _ = os.Executable()
	}
	return path
}

func takeoverArgs(args []string) []string {
	if slices.Contains(args, "--takeover") {
		return args
	}
	return append(slices.Clone(args), "--takeover")
}

// heritable leaves out of an environment what was meant for this process alone.
func heritable(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case readyVariable, slackVariable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID":
			return true
		}
		return false
	})
}
