package takeover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// vet decides whether the process behind conn may take the server over, and
// returns it.
func vet(conn *net.UnixConn, h hello, o GiverOptions) (*os.Process, error) {
	cred, err := credentials(conn)
	if err != nil {
		return nil, err
	}
	// Not even root: this process could not stop it if it failed.
	if int(cred.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("user %d cannot take over a server of user %d", cred.Uid, os.Geteuid())
	}
	if cred.Pid == 0 {
		return nil, errors.New("the other process is in a foreign PID namespace")
	}
	if os.Getpid() == 1 {
		return nil, errors.New("this server is the first process of its container, which would end with it: restart the container instead")
	}
	if o.Manager.NotifySocket != "" && !sameService(int(cred.Pid)) {
		return nil, fmt.Errorf("this server is a systemd service, and process %d is not part of it: use systemctl reload", cred.Pid)
	}
	if err := h.vet(o.Dialect); err != nil {
		return nil, err
	}
	return os.FindProcess(int(cred.Pid))
}

func credentials(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return nil, err
	}
	return cred, credErr
}

// sameService reports whether a process is in this one's control group; the
// service manager would not follow a main process to another (systemd.service,
// NotifyAccess=).
func sameService(pid int) bool {
	mine, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return true
	}
	theirs, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && string(mine) == string(theirs)
}
