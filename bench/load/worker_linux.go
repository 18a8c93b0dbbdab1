package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Run carries out o and returns what it measured, merged over all connections.
// It fails if a connection breaks; refused and wrong answers are only counted.
func Run(ctx context.Context, o Options) (*Result, error) {
	o.setDefaults()
	workers := make([]*worker, o.Workers)
	defer func() {
		for _, w := range workers {
			if w != nil {
				w.close()
			}
		}
	}()
	for i := range workers {
		w, err := newWorker(&o, i)
		if err != nil {
			return nil, err
		}
		workers[i] = w
	}
	if o.Started != nil {
		o.Started()
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range workers {
		group.Go(func() error { return w.run(ctx, start) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	result := workers[0].record.Result
	for _, w := range workers[1:] {
		result.Merge(w.record.Result)
	}
	return result, nil
}

// worker drives its share of the connections from one thread with epoll.
type worker struct {
	options  *Options
	epoll    int
	conns    []*conn
	idle     []*conn // ready for a turn; first in, first out
	record   recorder
	schedule schedule
	start    time.Time
	busy     int // connections within a turn
	progress int64
	events   []unix.EpollEvent
	poll     [1]unix.PollFd

	family  int // of the server's address
	address unix.Sockaddr
}

// newWorker connects every o.Workers-th flow, beginning with flow i.
func newWorker(o *Options, i int) (*worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll: %w", err)
	}
	w := &worker{
		options: o, epoll: epoll,
		record:   newRecorder(o.Interval),
		schedule: newSchedule(o, i, o.Workers),
		events:   make([]unix.EpollEvent, 256),
	}
	tcp, err := net.ResolveTCPAddr("tcp", o.Address)
	if err != nil {
		w.close()
		return nil, fmt.Errorf("load: %w", err)
	}
	w.family, w.address = socketAddress(tcp)
	for f := i; f < len(o.Flows); f += o.Workers {
		c := &conn{worker: w, index: int32(len(w.conns)), fd: -1, in: make([]byte, 64<<10)}
		c.flow, c.dialect, c.accept = o.Flows[f], o.Dialect(), c.answer
		w.conns = append(w.conns, c)
		if o.Reconnect {
			continue
		}
		if err := c.connect(); err != nil {
			w.close()
			return nil, err
		}
	}
	w.idle = append(w.idle, w.conns...)
	return w, nil
}

func (w *worker) close() {
	for _, c := range w.conns {
		c.disconnect()
	}
	_ = unix.Close(w.epoll)
}

func (w *worker) now() int64 { return int64(time.Since(w.start)) }

// run drives the connections until nothing is left to do.
func (w *worker) run(ctx context.Context, start time.Time) error {
	release, err := holdThread(w.options.CPUs)
	if err != nil {
		return err
	}
	defer release()
	w.start = start
	for {
		now := w.now()
		if err := w.beginTurns(now); err != nil {
			return err
		}
		wait, done, err := w.patience(ctx, now)
		if done || err != nil {
			w.record.Elapsed = time.Duration(now)
			return err
		}
		if err := w.serve(wait); err != nil {
			return err
		}
	}
}

// beginTurns gives idle connections the turns that are due.
func (w *worker) beginTurns(now int64) error {
	begun := 0
	defer func() { w.idle = w.idle[:copy(w.idle, w.idle[begun:])] }()
	for begun < len(w.idle) {
		due, ok := w.schedule.take(now)
		if !ok {
			return nil
		}
		begun++
		if err := w.idle[begun-1].begin(due); err != nil {
			return err
		}
	}
	return nil
}

// patience says how long to wait for events, -1 for ever, or that all is done.
func (w *worker) patience(ctx context.Context, now int64) (wait int64, done bool, err error) {
	const pause = int64(100 * time.Millisecond) // how soon a cancelled context shows
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	due, more := w.schedule.next(now)
	more = more && w.busy+len(w.idle) > 0 // some flow has not ended
	switch {
	case w.busy == 0 && !more:
		return 0, true, nil
	case w.busy > 0 && now-w.progress > int64(backlogLimit):
		return 0, false, fmt.Errorf("load: no answer for %v", backlogLimit)
	case w.schedule.late(now):
		w.abandon(now)
		return 0, true, nil
	case more && len(w.idle) > 0:
		return min(max(due-now, 0), pause), false, nil
	}
	return pause, false, nil
}

// abandon accounts for the turns that are not over, as if they ended now.
func (w *worker) abandon(now int64) {
	for _, c := range w.conns {
		if len(c.ops) > 0 || c.quitting {
			w.record.Unserved++
			w.record.turn(c.due, now)
		}
	}
	w.record.abandon(&w.schedule, now)
}

// coarse is from when on epoll's milliseconds are exact enough for a wait.
const coarse = 10 * time.Millisecond

// serve waits at most that many nanoseconds and handles the events then there.
func (w *worker) serve(wait int64) error {
	if wait > 0 && wait < int64(coarse) {
		timeout := unix.NsecToTimespec(wait)
		w.poll[0] = unix.PollFd{Fd: int32(w.epoll), Events: unix.POLLIN}
		if n, err := unix.Ppoll(w.poll[:], &timeout, nil); n == 0 || err == unix.EINTR {
			return nil
		}
		wait = 0
	}
	n, err := unix.EpollWait(w.epoll, w.events, int(wait/int64(time.Millisecond)))
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load: epoll: %w", err)
	}
	for _, event := range w.events[:n] {
		if err := w.conns[event.Fd].handle(event.Events); err != nil {
			return err
		}
	}
	if n > 0 {
		w.progress = w.now()
	}
	return nil
}

// holdThread binds the goroutine to a thread that may run on cpus only (any if
// there are none) and wakes up on time; release undoes that.
func holdThread(cpus []int) (release func(), err error) {
	runtime.LockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("load: affinity: %w", err)
	}
	if len(cpus) > 0 {
		var set unix.CPUSet
		for _, cpu := range cpus {
			set.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return nil, fmt.Errorf("load: pin to cores %v: %w", cpus, err)
		}
	}
	// Without this the kernel may wake the thread 50 µs late.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return func() {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
		_ = unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	}, nil
}

func socketAddress(tcp *net.TCPAddr) (family int, address unix.Sockaddr) {
	if ip4 := tcp.IP.To4(); ip4 != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(ip4)}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: tcp.Port, Addr: [16]byte(tcp.IP.To16())}
}

// errClosed is the end of a connection that the client did not end.
var errClosed = fmt.Errorf("load: the server closed the connection: %w", io.EOF)
