package origin

import "golang.org/x/sys/unix"

// peerUser asks the kernel who connected a Unix socket.
func peerUser(fd int) (uid uint32, err error) {
	credentials, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return credentials.Uid, nil
}
