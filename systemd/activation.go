package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
)

// Listeners returns the listening sockets that the service manager passed to this
// process, by their FileDescriptorName= (systemd.socket(5)), in the manager's
// order. They are the caller's to close. Later calls give none.
//
// The socket of a Unix listener stays in the file system when it is closed: it
// is the manager's.
func Listeners() (map[string][]net.Listener, error) {
	byName := make(map[string][]net.Listener)
	var failures []error
	for _, f := range activation.Files(true) {
		l, err := listener(f)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		byName[f.Name()] = append(byName[f.Name()], l)
	}
	if err := errors.Join(failures...); err != nil {
		for _, ls := range byName {
			for _, l := range ls {
				l.Close()
			}
		}
		return nil, err
	}
	return byName, nil
}

// listener turns f into a listener and closes f.
func listener(f *os.File) (net.Listener, error) {
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("socket %q from the service manager is not a stream listener: %w", f.Name(), err)
	}
	if unix, ok := l.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	return l, nil
}
