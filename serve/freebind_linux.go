package serve

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// freeBind lets a socket be bound to an address that the machine does not have
// yet.
func freeBind(network, _ string, c syscall.RawConn) (err error) {
	level, option := unix.SOL_IP, unix.IP_FREEBIND
	if network == "tcp6" {
		level, option = unix.SOL_IPV6, unix.IPV6_FREEBIND
	}
	controlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) })
	if err == nil {
		err = controlErr
	}
	return err
}
