package takeover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a conversation. It is known by a
// descriptor (pidfd_open(2)), so that a later process of the same number is
// never taken for it.
type peer struct {
	pid int
	uid int
	fd  int
}

// peerOf returns who has made or accepted conn. The error is ErrNobody if that
// process has ended.
func peerOf(conn *net.UnixConn) (*peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return nil, err
	}
	if cred.Pid == 0 {
		return nil, errors.New("takeover: the other process is in a foreign PID namespace")
	}
	fd, err := unix.PidfdOpen(int(cred.Pid), 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, ErrNobody
	}
	if err != nil {
		return nil, fmt.Errorf("takeover: process %d: %w", cred.Pid, err)
	}
	return &peer{pid: int(cred.Pid), uid: int(cred.Uid), fd: fd}, nil
}

// vet decides whether a taker may have this process's server.
func (p *peer) vet(manager Manager) error {
	switch {
	case p.uid != os.Geteuid():
		// Not even root: this process could not stop it if it failed.
		return fmt.Errorf("user %d cannot take over a server of user %d", p.uid, os.Geteuid())
	case os.Getpid() == 1:
		return errors.New("this server is the first process of its container, which would end with it: restart the container instead")
	case manager.NotifySocket != "" && !p.sameService():
		return fmt.Errorf("this server is a systemd service, and process %d is not part of it: use systemctl reload", p.pid)
	}
	return nil
}

// sameService reports whether the peer is in this process's control group; the
// service manager would not follow a main process to another (systemd.service,
// NotifyAccess=).
func (p *peer) sameService() bool {
	mine, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return true
	}
	theirs, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/cgroup")
	return err == nil && string(mine) == string(theirs)
}

// wait waits until the process has ended and all that it had open is closed.
// It reports false after d.
func (p *peer) wait(d time.Duration) bool {
	deadline := time.Now().Add(d)
	for {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 || (err != nil && err != unix.EINTR) {
			return n > 0
		}
		if left == 0 {
			return false
		}
	}
}

// kill ends the process and waits for that.
func (p *peer) kill() {
	if p == nil {
		return
	}
	unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0)
	p.wait(10 * time.Second)
}

// forget frees the descriptor.
func (p *peer) forget() { unix.Close(p.fd) }
