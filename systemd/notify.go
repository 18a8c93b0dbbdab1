// Package systemd speaks to the service manager: readiness and watchdog
// (sd_notify(3)), and sockets that it opened for this process
// (sd_listen_fds(3)). Without a service manager everything here does nothing.
package systemd

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/coreos/go-systemd/v22/journal"
)

// Environment variables of the protocol.
const (
	notifySocket = "NOTIFY_SOCKET"
	watchdogUsec = "WATCHDOG_USEC"
	watchdogPID  = "WATCHDOG_PID"
)

// States for Notify, besides those that have a function here.
const (
	Ready    = daemon.SdNotifyReady    // the server serves
	Stopping = daemon.SdNotifyStopping // it has begun to stop
)

// MainPID is the state that makes another process the service's main one.
func MainPID(pid int) string { return "MAINPID=" + strconv.Itoa(pid) }

// Status is a state in words for people, of one line.
func Status(text string) string {
	return "STATUS=" + strings.ReplaceAll(text, "\n", " ")
}

// Notify tells the service manager states, all in one message.
func Notify(states ...string) error {
	_, err := daemon.SdNotify(false, strings.Join(states, "\n"))
	return err
}

// Manager is what a process needs to know of its service manager.
type Manager struct {
	NotifySocket string

	// Watchdog is the longest silence that the manager allows; 0: any.
	Watchdog time.Duration
}

// Current returns the manager of this process, which is zero without one.
func Current() (Manager, error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	return Manager{NotifySocket: os.Getenv(notifySocket), Watchdog: watchdog}, err
}

// Adopt makes m this process's manager: that of the process whose place it
// takes. A zero m changes nothing.
func Adopt(m Manager) error {
	if m.NotifySocket == "" {
		return nil
	}
	if err := os.Setenv(notifySocket, m.NotifySocket); err != nil {
		return err
	}
	if err := os.Unsetenv(watchdogPID); err != nil {
		return err
	}
	if m.Watchdog == 0 {
		return os.Unsetenv(watchdogUsec)
	}
	return os.Setenv(watchdogUsec, strconv.FormatInt(m.Watchdog.Microseconds(), 10))
}

// KeepAlive pings the manager's watchdog at half its period until ctx is done,
// each time after check has passed. It returns at once if there is none. A
// check that blocks or fails for long has the manager end and restart this
// process; failed is told of each failure.
func KeepAlive(ctx context.Context, check func(context.Context) error, failed func(error)) {
	m, err := Current()
	if err != nil {
		failed(err)
	}
	if m.Watchdog <= 0 {
		return
	}
	keepAlive(ctx, time.NewTicker(m.Watchdog/2), check, failed)
}

func keepAlive(ctx context.Context, ticker *time.Ticker, check func(context.Context) error, failed func(error)) {
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			err = Notify(daemon.SdNotifyWatchdog)
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// StderrIsJournal reports whether this process's standard error leads to the
// journal: then it needs no log file in the background either.
func StderrIsJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}
