package serve

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPollReportsErrors asks an epoll for events that is none any more.
func TestPollReportsErrors(t *testing.T) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{epoll: fd}
	if n := l.pollNow(); n != 0 || l.pollErr != nil {
		t.Errorf("%d events, %v", n, l.pollErr)
	}
	unix.Close(fd)
	if n := l.pollNow(); n != 0 || !errors.Is(l.pollErr, unix.EBADF) || l.arrived != 0 {
		t.Errorf("%d events, %v", n, l.pollErr)
	}
}
