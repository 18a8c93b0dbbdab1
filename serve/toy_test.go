package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"cairn/serve"
	"cairn/session"
)

// toy is a protocol of lines, to serve something that is not memcached's:
//
//	name <name>        the client's name, which whoami answers
//	put <key> <value>  answers "ok"
//	get <key>          answers the value and a line end, or "none"
//	fill <key> <n>     puts a value of n bytes, answers "ok"
//	blob <n>           and n bytes behind the line end: answers how many "x" are
//	                   among them
//	stream <n>         an errand that answers n lines
//	wait               an errand that ends when the server wants it to
//	bye                ends the connection
//
// Everything else is answered as it is.
type toy struct {
	opened, closed atomic.Int64
	replied        atomic.Int64
	turns          atomic.Int64 // calls of Reply
}

func (p *toy) NewConn(l *serve.Link) serve.Conn { return &toyConn{toy: p, link: l} }

type toyConn struct {
	toy  *toy
	link *serve.Link

	name    string
	plan    []toyAnswer
	done    int
	errand  serve.Errand
	closing bool
}

// toyAnswer is a line, or the result of a command.
type toyAnswer struct {
	line    string
	command int // -1: none
}

func (c *toyConn) Opened()               { c.toy.opened.Add(1) }
func (c *toyConn) Closed(error)          { c.toy.closed.Add(1) }
func (c *toyConn) Replied(time.Duration) { c.toy.replied.Add(1) }
func (c *toyConn) Closing() bool         { return c.closing }

func (c *toyConn) Errand() serve.Errand {
	errand := c.errand
	c.errand = nil
	return errand
}

// maxToyBurst is how many requests the toy takes at a time.
const maxToyBurst = 16

func (c *toyConn) Consume(in []byte, b *session.Burst) (used, need int) {
	first := len(b.Commands)
	for c.errand == nil && !c.closing && len(c.plan) < maxToyBurst {
		line, rest, found := bytes.Cut(in[used:], []byte("\n"))
		if !found {
			break
		}
		words := bytes.Fields(line)
		size := len(line) + 1
		if len(words) == 2 && string(words[0]) == "blob" {
			n, _ := strconv.Atoi(string(words[1]))
			if size += n; len(rest) < n {
				return used, size
			}
			c.say(strconv.Itoa(bytes.Count(rest[:n], []byte("x"))))
		} else {
			c.request(words, b, first)
		}
		used += size
	}
	return used, 0
}

func (c *toyConn) request(words [][]byte, b *session.Burst, first int) {
	verb := ""
	if len(words) > 0 {
		verb = string(words[0])
	}
	switch {
	case verb == "name" && len(words) == 2:
		c.name = string(words[1])
		c.say("ok")
	case verb == "whoami":
		c.say(c.name)
	case verb == "put" && len(words) == 3:
		c.store(b, first, words[1], words[2])
	case verb == "fill" && len(words) == 3:
		n, _ := strconv.Atoi(string(words[2]))
		c.store(b, first, words[1], bytes.Repeat([]byte{'x'}, n))
	case verb == "get" && len(words) == 2:
		c.plan = append(c.plan, toyAnswer{command: len(b.Commands) - first})
		cmd := b.Add()
		cmd.Op, cmd.Key = session.OpGet, words[1]
	case verb == "stream" && len(words) == 2:
		n, _ := strconv.Atoi(string(words[1]))
		c.errand = func(_ context.Context, p serve.Peer) (err error) {
			for i := 0; i < n && err == nil; i++ {
				_, err = fmt.Fprintln(p, i)
			}
			return err
		}
	case verb == "wait":
		c.errand = func(ctx context.Context, p serve.Peer) error {
			<-ctx.Done()
			return ctx.Err()
		}
	case verb == "bye":
		c.closing = true
	default:
		c.say(string(bytes.Join(words, []byte(" "))))
	}
}

func (c *toyConn) say(line string) { c.plan = append(c.plan, toyAnswer{line: line, command: -1}) }

func (c *toyConn) store(b *session.Burst, first int, key, value []byte) {
	c.plan = append(c.plan, toyAnswer{command: len(b.Commands) - first})
	cmd := b.Add()
	cmd.Op, cmd.Key, cmd.Value, cmd.Expiry = session.OpSet, key, value, session.Never
}

func (c *toyConn) Reply(out *serve.Output, b *session.Burst) (done bool) {
	c.toy.turns.Add(1)
	for c.done < len(c.plan) && !out.Enough(out.Text) {
		a := c.plan[c.done]
		switch {
		case a.command < 0:
			out.Text = append(out.Text, a.line...)
		case b.Results[a.command].Status != session.OK:
			out.Text = append(out.Text, "none"...)
		case b.Commands[a.command].Op == session.OpGet:
			out.Text = out.AppendValue(out.Text, b.Results[a.command].Item.Value)
		default:
			out.Text = append(out.Text, "ok"...)
		}
		out.Text = append(out.Text, '\n')
		c.done++
	}
	if c.done < len(c.plan) || out.Lends() {
		return false
	}
	c.plan, c.done = c.plan[:0], 0
	return true
}

type toyState struct{ Name string }

func (c *toyConn) State() ([]byte, error) { return json.Marshal(toyState{c.name}) }

func (c *toyConn) Restore(state []byte) error {
	var s toyState
	err := json.Unmarshal(state, &s)
	c.name = s.Name
	return err
}
