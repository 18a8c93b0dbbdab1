//go:build !linux

package serve

import (
	"errors"
	"syscall"
)

func freeBind(string, string, syscall.RawConn) error { return errors.ErrUnsupported }
