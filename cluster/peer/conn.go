package peer

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// Errors of a Call.
var (
	// ErrUnreachable: there is no connection, or it is full. The call was not sent.
	ErrUnreachable = errors.New("peer: the node cannot be reached")

	// ErrBroken: the connection broke before the answer came. The call may have
	// arrived.
	ErrBroken = errors.New("peer: the connection broke")

	// ErrTimeout: no answer came in time. The call may have arrived.
	ErrTimeout = errors.New("peer: no answer in time")
)

const (
	maxQueuedRaft = 64 << 20 // bytes; raft sends again what is dropped
	maxQueued     = 256 << 20
	writeTimeout  = 5 * time.Second
	silence       = 5 * time.Second // after which a connection is given up
	stateEvery    = 500 * time.Millisecond
	keptBuffer    = 1 << 20
)

// conn is a connection to another node. Either side may have begun it.
type conn struct {
	net.Conn
	reader   *bufio.Reader
	received *atomic.Int64 // bytes
	to       Hello

	mu     sync.Mutex
	out    []outgoing
	size   int // bytes in out, about
	calls  map[uint64]*call
	last   uint64
	closed error
	wake   chan struct{}
}

// outgoing is one frame, or what becomes one.
type outgoing struct {
	frame    []byte
	group    uint64
	messages []*raftpb.Message // of raft; nil: it is frame
}

type call struct {
	deadline time.Time
	done     func(reply []byte, err error)
}

func newConn(c net.Conn, r *bufio.Reader, to Hello) *conn {
	return &conn{Conn: c, reader: r, to: to, calls: make(map[uint64]*call), wake: make(chan struct{}, 1)}
}

// queue lets the writer send o, unless that would be more than limit bytes.
func (c *conn) queue(o outgoing, size, limit int) bool {
	c.mu.Lock()
	ok := c.closed == nil && (c.size == 0 || c.size+size <= limit)
	if ok {
		c.out = append(c.out, o)
		c.size += size
	}
	c.mu.Unlock()
	if ok {
		c.wakeWriter()
	}
	return ok
}

func (c *conn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) sendRaft(group uint64, messages []*raftpb.Message) bool {
	size := 0
	for _, m := range messages {
		size += 64
		for _, e := range m.GetEntries() {
			size += len(e.GetData()) + 32
		}
	}
	return c.queue(outgoing{group: group, messages: messages}, size, maxQueuedRaft)
}

// call sends a call. done is called once, from any goroutine.
func (c *conn) call(body []byte, deadline time.Time, done func(reply []byte, err error)) {
	c.mu.Lock()
	if c.closed != nil || c.size > 0 && c.size+len(body) > maxQueued {
		c.mu.Unlock()
		done(nil, ErrUnreachable)
		return
	}
	c.last++
	c.calls[c.last] = &call{deadline, done}
	frame := appendNumbered(make([]byte, 0, len(body)+frameHeader+10), frameCall, c.last, body)
	c.out = append(c.out, outgoing{frame: frame})
	c.size += len(frame)
	c.mu.Unlock()
	c.wakeWriter()
}

// reply sends the answer to a call.
func (c *conn) reply(number uint64, body []byte) {
	frame := appendNumbered(make([]byte, 0, len(body)+frameHeader+10), frameReply, number, body)
	if !c.queue(outgoing{frame: frame}, len(frame), maxQueued) {
		c.fail(fmt.Errorf("peer: %d bytes of answers were not read", maxQueued))
	}
}

// answered completes the call that a reply is for.
func (c *conn) answered(body []byte) error {
	number, rest, err := splitNumbered(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	call := c.calls[number]
	delete(c.calls, number)
	c.mu.Unlock()
	if call != nil {
		call.done(rest, nil)
	}
	return nil
}

// expire completes calls whose time is over.
func (c *conn) expire(now time.Time) {
	var over []*call
	c.mu.Lock()
	for number, call := range c.calls {
		if now.After(call.deadline) {
			over = append(over, call)
			delete(c.calls, number)
		}
	}
	c.mu.Unlock()
	for _, call := range over {
		call.done(nil, ErrTimeout)
	}
}

// fail closes the connection, because of err. What waits for answers is completed.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.closed != nil {
		c.mu.Unlock()
		return
	}
	c.closed = err
	calls := c.calls
	c.calls, c.out, c.size = nil, nil, 0
	c.mu.Unlock()
	_ = c.Close()
	c.wakeWriter()
	for _, call := range calls {
		call.done(nil, ErrBroken)
	}
}

func (c *conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// write sends what is queued, and what state returns twice a second, until the
// connection has failed.
func (c *conn) write(state func() []byte) {
	ticker := time.NewTicker(stateEvery)
	defer ticker.Stop()
	buf := appendFrame(nil, frameState, state())
	var taken []outgoing
	for c.failure() == nil {
		c.mu.Lock()
		taken, c.out = c.out, taken[:0]
		c.size = 0
		c.mu.Unlock()
		var err error
		for i := range taken {
			if o := &taken[i]; o.messages == nil {
				buf = append(buf, o.frame...)
			} else if buf, err = appendRaft(buf, o.group, o.messages); err != nil {
				c.fail(err)
				return
			}
			taken[i] = outgoing{}
		}
		if len(buf) > 0 {
			if err = c.SetWriteDeadline(time.Now().Add(writeTimeout)); err == nil {
				_, err = c.Write(buf)
			}
			if err != nil {
				c.fail(err)
				return
			}
			if buf = buf[:0]; cap(buf) > keptBuffer {
				buf = nil
			}
			continue
		}
		select {
		case <-c.wake:
		case now := <-ticker.C:
			c.expire(now)
			buf = appendFrame(buf, frameState, state())
		}
	}
}
