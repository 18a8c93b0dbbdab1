package serve

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"cairn/session"
)

// interest is what a loop wants to know of a connection, once each time it becomes so.
// That there is room to send is of interest once there was none.
const interest = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// loop serves many connections from one goroutine: it waits for input on all of
// them, and answers what the store has in memory. What the store has to carry out
// comes back into the mailbox when it is complete; only the connection that
// asked for it rests meanwhile.
type loop struct {
	server  *Server
	shard   int
	epoll   int
	file    *os.File // of epoll, to wait for it
	wait    syscall.RawConn
	poll    func(fd uintptr) (done bool)
	events  [128]unix.EpollEvent
	arrived int   // events in the last poll
	pollErr error // of the last poll
	polls   int   // in the last sleep
	drowsy  bool  // the last sleep was one: there was nothing to do at first

	awake time.Time // since when it has worked without sleep or letting others run; zero: not yet

	clients   map[int32]*loopClient // by descriptor
	ready     []*loopClient         // may have something to do
	bulk      []*loopClient         // the same, but it takes long
	moved     int                   // bytes of bulk in this round
	now       session.Time          // when the present turns began
	began     time.Time             // the same
	arena     *arena                // for the input to come
	arenas    int                   // in use
	begun     []*turn               // to be carried out
	commands  int                   // of begun
	passing   []*turn               // to be passed to the store
	spare     []*turn               // for later
	answered  []answered            // not yet told how long it took
	delayed   []*turn               // wait for the store to be available
	due       []*turn               // memory for retryDue
	out       Output                // answers being sent
	nextSweep time.Time
	alarm     *time.Timer // makes the loop look for what is due; nil: none yet
	alarmAt   time.Time   // when; zero: not at all

	freezing chan<- frozen // gets the connections when the loop stands still
	isFrozen bool          // it does

	asleep    atomic.Bool
	mail      mailbox
	announced atomic.Bool // there are newcomers in it
	taken     mailbox     // the mail being worked on, for its memory
}

// mailbox is what others tell a loop.
type mailbox struct {
	mu        sync.Mutex
	newcomers []*loopClient
	finished  []*session.Burst // of turns; their results are final
	returned  []*loopClient    // their errands have ended
	hungUp    []*loopClient    // to be closed
	unparked  []*loopClient    // have got the memory that they waited for
	tasks     []func()         // to be called by the loop
	closed    bool             // the loop has ended

	// woken says that the deadline of the wait for events has been set, which ends
	// the wait, or will end the next one.
	woken bool
}

// empty reports whether nobody has told anything. It is called with mu locked.
func (m *mailbox) empty() bool {
	return len(m.newcomers)+len(m.finished)+len(m.returned)+len(m.hungUp)+len(m.unparked)+len(m.tasks) == 0
}

// newLoop makes a loop; run starts it.
func newLoop(s *Server, shard int) (l *loop, err error) {
	l = &loop{
		server:  s,
		shard:   shard,
		clients: make(map[int32]*loopClient),
		arena:   newArena(),
		arenas:  1,
		out:     Output{Text: make([]byte, 0, 2*replyChunk)},

		nextSweep: time.Now(), // a client that says nothing does not wake the loop
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	// The runtime waits for the epoll descriptor as for any other, so that a
	// sleeping loop costs no thread and holds up no other goroutine.
	unix.SetNonblock(l.epoll, true)
	l.file = os.NewFile(uintptr(l.epoll), "epoll")
	if l.wait, err = l.file.SyscallConn(); err != nil {
		l.close()
		return nil, err
	}
	l.poll = func(uintptr) bool {
		l.polls++
		return l.pollNow() != 0 || l.pollErr != nil
	}
	return l, nil
}

func (l *loop) close() {
	if l.alarm != nil {
		l.alarm.Stop()
	}
	l.file.Close()
}

// watch makes the loop notice these events of a descriptor. Anybody may call it.
func (l *loop) watch(fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// watchRoom makes the loop notice, besides, that there is room to send. If there is
// some now it notices that, too.
func (l *loop) watchRoom(fd int) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: interest | unix.EPOLLOUT, Fd: int32(fd)})
}

// tell puts something into the mailbox and wakes the loop if it sleeps. It
// reports false if the loop has ended.
func (l *loop) tell(put func(m *mailbox)) bool {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	if l.mail.closed {
		return false
	}
	put(&l.mail)
	l.wake()
	return true
}

// announce puts a client that is to be served into the mailbox, and lets the loop
// notice what it sends. That wakes the loop, so nothing else has to. It reports false
// if the loop has ended. The mailbox is locked all the while: the loop must not close
// the client's descriptor before it is watched.
func (l *loop) announce(cl *loopClient) bool {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	if l.mail.closed {
		return false
	}
	l.mail.newcomers = append(l.mail.newcomers, cl)
	l.announced.Store(true)
	if err := l.watch(cl.fd, interest); err != nil {
		l.mail.hungUp = append(l.mail.hungUp, cl)
		l.wake()
	}
	return true
}

// passed is a deadline that ends a wait at once.
var passed = time.Unix(1, 0)

// wake wakes the loop if it sleeps. It is called with mail.mu locked. The runtime makes
// the loop's goroutine runnable where the caller runs: no descriptor has to become ready,
// and no other thread to notice it.
func (l *loop) wake() {
	if l.asleep.CompareAndSwap(true, false) {
		l.mail.woken = true
		l.file.SetReadDeadline(passed)
	}
}

// forgetWake lets the next wait for events be one. It is called with mail.mu locked.
func (l *loop) forgetWake() {
	if l.mail.woken {
		l.mail.woken = false
		l.file.SetReadDeadline(time.Time{})
	}
}

// stop makes the loop notice that the server stops.
func (l *loop) stop() { l.do(func() {}) }

// run serves the loop's connections until the server stops and they are closed.
func (l *loop) run() {
	defer l.close()
	for l.round() {
		if l.shouldYield() {
			runtime.Gosched()
		}
	}
}

// yieldAfter is how long a loop that always finds something to do keeps its processor
// while there are other loops. Go's scheduler would take it away after 10 ms, however
// many loops share what the machine has left for the server.
const yieldAfter = 100 * time.Microsecond

// shouldYield reports, after each round, whether the loop has to let other goroutines
// run, and supposes that it will.
func (l *loop) shouldYield() bool {
	if len(l.server.loops) < 2 || l.awake.IsZero() || l.began.Sub(l.awake) < yieldAfter {
		return false
	}
	l.awake = l.began
	return true
}

// round waits until there is something to do, and does it. It reports whether
// there may be more to come.
func (l *loop) round() bool {
	l.moved = 0
	l.collect()
	l.readMail()
	l.retryDue()
	if l.server.isStopping() {
		l.closeIdle()
		if len(l.clients) == 0 && l.closeMail() {
			return false
		}
	}
	l.stand()
	if l.freezing == nil {
		l.sweep()
		l.serve()
	}
	return true
}

// closeMail closes the mailbox unless there is something in it.
func (l *loop) closeMail() bool {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	l.mail.closed = l.mail.empty()
	return l.mail.closed
}

// mayEnd reports whether the server stops and the loop has a connection to close for
// that, or none left: the last turn of a connection may have ended in this round,
// after closeIdle, and nothing would wake the loop any more.
func (l *loop) mayEnd() bool {
	if !l.server.isStopping() {
		return false
	}
	for _, cl := range l.clients {
		if !cl.busy || l.isFrozen {
			return true
		}
	}
	return len(l.clients) == 0
}

// collect learns which connections have become ready. If none has and there is
// nothing else to do, it waits. A loop that had to wait the last time does not ask
// for events before it does: waiting begins with that.
func (l *loop) collect() {
	switch mayRest := len(l.ready)+len(l.bulk) == 0 || l.freezing != nil; {
	case !mayRest:
		l.pollNow()
	case l.drowsy || l.pollNow() == 0 && l.pollErr == nil:
		l.sleep()
	}
	if l.pollErr != nil {
		l.server.options.Logger.Error("cannot poll connections", "error", l.pollErr)
		l.server.sleep(pollPause)
	}
	if l.arrived > 0 {
		l.receiveNewcomers() // an event may be one's
	}
	for i := range l.arrived {
		l.notice(&l.events[i])
	}
}

// pollPause is how long a loop rests after an error of its epoll.
const pollPause = 100 * time.Millisecond

// pollNow asks for events without waiting. It is 0 after an error, which is in
// l.pollErr then.
func (l *loop) pollNow() int {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT,
			uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), 0, 0, 0)
		l.arrived, l.pollErr = int(n), nil
		switch errno {
		case 0:
			return l.arrived
		case unix.EINTR:
		default:
			l.arrived, l.pollErr = 0, errno
			return 0
		}
	}
}

func (l *loop) hasMail() bool {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	return !l.mail.empty()
}

// sleep waits for an event, mail, the time of the next sweep, or that of the
// next retry. It returns with what pollNow says.
func (l *loop) sleep() {
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	if l.hasMail() || l.mayEnd() {
		l.pollNow()
		return
	}
	l.setAlarm()
	l.polls = 0
	err := l.wait.Read(l.poll)
	l.drowsy = l.polls > 1
	if l.drowsy || err != nil {
		l.awake = time.Time{}
	}
	if err == nil {
		return
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		l.server.options.Logger.Error("cannot wait for connections", "error", err)
		l.server.sleep(pollPause)
	}
	l.pollNow()
}

// setAlarm makes somebody wake the loop when it has something to do, whatever happens.
func (l *loop) setAlarm() {
	until := l.sleepsUntil()
	if until == l.alarmAt {
		return
	}
	l.alarmAt = until
	switch {
	case l.alarm == nil:
		l.alarm = time.AfterFunc(time.Until(until), func() { l.do(l.forgetAlarm) })
	case until.IsZero():
		l.alarm.Stop()
	default:
		l.alarm.Reset(time.Until(until))
	}
}

// forgetAlarm notes that the alarm has gone off.
func (l *loop) forgetAlarm() { l.alarmAt = time.Time{} }

// sleepsUntil returns when the loop has something to do, whatever happens; zero:
// never.
func (l *loop) sleepsUntil() time.Time {
	until := l.nextDue()
	if l.server.options.IdleTimeout > 0 && l.freezing == nil && (until.IsZero() || l.nextSweep.Before(until)) {
		until = l.nextSweep
	}
	return until
}

// notice takes note of one event.
func (l *loop) notice(event *unix.EpollEvent) {
	cl := l.clients[event.Fd]
	if cl == nil {
		return // a connection that is closed
	}
	if event.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		cl.readable = true
		cl.ending = cl.ending || event.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		l.hurry(cl)
	}
	if event.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		cl.writable = true
	}
	if !l.isFrozen {
		l.queue(cl)
	}
}

// queue makes the loop serve cl if there is something to do for it.
func (l *loop) queue(cl *loopClient) {
	switch {
	case cl.queued, cl.parked:
	case cl.sending():
		if cl.writable {
			cl.queued = true
			l.bulk = append(l.bulk, cl)
		}
	case cl.busy || !cl.readable && !cl.more:
	case cl.isBulky():
		cl.queued = true
		l.bulk = append(l.bulk, cl)
	default:
		cl.queued = true
		l.ready = append(l.ready, cl)
	}
}

// receiveNewcomers makes the loop serve those who were announced.
func (l *loop) receiveNewcomers() {
	if !l.announced.Load() {
		return
	}
	l.mail.mu.Lock()
	l.takeNewcomers()
	l.mail.mu.Unlock()
	l.welcome()
}

// takeNewcomers takes them out of the mailbox, which is locked.
func (l *loop) takeNewcomers() {
	l.taken.newcomers, l.mail.newcomers = l.mail.newcomers, l.taken.newcomers[:0]
	l.announced.Store(false)
}

// readMail does what others have asked for.
func (l *loop) readMail() {
	m := &l.taken
	l.mail.mu.Lock()
	l.forgetWake()
	l.takeNewcomers()
	m.finished, l.mail.finished = l.mail.finished, m.finished[:0]
	m.returned, l.mail.returned = l.mail.returned, m.returned[:0]
	m.hungUp, l.mail.hungUp = l.mail.hungUp, m.hungUp[:0]
	m.unparked, l.mail.unparked = l.mail.unparked, m.unparked[:0]
	m.tasks, l.mail.tasks = l.mail.tasks, m.tasks[:0]
	l.mail.mu.Unlock()
	l.welcome()
	for _, b := range m.finished {
		l.finish(b.Owner.(*turn))
	}
	l.tellTimes()
	for _, cl := range m.returned {
		l.comeBack(cl)
	}
	for _, cl := range m.unparked {
		l.unpark(cl)
	}
	for _, cl := range m.hungUp {
		l.hangUp(cl)
	}
	for _, task := range m.tasks {
		task()
	}
	clear(m.tasks)
	clear(m.finished)
	clear(m.returned)
	clear(m.hungUp)
	clear(m.unparked)
}

// welcome begins to serve the newcomers that were taken.
func (l *loop) welcome() {
	for _, cl := range l.taken.newcomers {
		l.clients[int32(cl.fd)] = cl
		l.queue(cl) // it may have been resumed with answers that are not out
	}
	clear(l.taken.newcomers)
}

// comeBack goes on with a connection whose errand has ended.
func (l *loop) comeBack(cl *loopClient) {
	cl.busy = false
	if cl.failed != nil || cl.conn.Closing() {
		l.drop(cl, cl.failed)
		return
	}
	cl.be(Waiting)
	cl.more = len(cl.in) > 0
	l.queue(cl)
}

// hangUp closes a connection on an operator's behalf. One that an errand, a turn
// or another process still needs is closed when that ends.
func (l *loop) hangUp(cl *loopClient) {
	switch {
	case l.clients[int32(cl.fd)] != cl:
	case l.isFrozen, cl.busy && !cl.sending():
		unix.Shutdown(cl.fd, unix.SHUT_RDWR)
	default:
		l.drop(cl, net.ErrClosed)
	}
}

// drop closes a connection that nothing is under way for.
func (l *loop) drop(cl *loopClient, err error) {
	delete(l.clients, int32(cl.fd))
	unix.Close(cl.fd)
	cl.fd = -1
	cl.in, cl.unsent = nil, nil
	if t := cl.held; t != nil {
		cl.held = nil
		l.end(t)
	}
	cl.claim.end()
	cl.readable, cl.more = false, false
	l.server.clients.remove(cl)
	cl.conn.Closed(err)
}

// closeIdle closes the connections for which nothing is under way, because the
// server stops.
func (l *loop) closeIdle() {
	for _, cl := range l.clients {
		if !cl.busy || l.isFrozen {
			l.drop(cl, net.ErrClosed)
		} else {
			l.hurry(cl)
		}
	}
	l.ready = l.ready[:0]
}

// sweep closes the connections that were silent for too long.
func (l *loop) sweep() {
	timeout := l.server.options.IdleTimeout
	if timeout <= 0 {
		return
	}
	now := time.Now()
	if now.Before(l.nextSweep) {
		return
	}
	l.nextSweep = now.Add(max(timeout/8, time.Millisecond))
	for _, cl := range l.clients {
		if !cl.busy && !cl.queued && !cl.parked && now.Sub(cl.heard) > timeout {
			l.server.clients.kicked.Add(1)
			l.drop(cl, ErrIdle)
		}
	}
}
