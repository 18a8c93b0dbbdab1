package main

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// deadlineListener is what the listeners of package net are.
type deadlineListener interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// lentListener outlives its user: when that closes it, it only ceases to accept.
type lentListener struct {
	deadlineListener
	closed atomic.Bool
}

func (l *lentListener) Accept() (net.Conn, error) {
	conn, err := l.deadlineListener.Accept()
	if err != nil && l.closed.Load() {
		err = net.ErrClosed
	}
	return conn, err
}

func (l *lentListener) Close() error {
	l.closed.Store(true)
	return l.SetDeadline(time.Unix(1, 0))
}

// lend makes it accept again.
func (l *lentListener) lend() net.Listener {
	l.closed.Store(false)
	l.SetDeadline(time.Time{})
	return l
}
