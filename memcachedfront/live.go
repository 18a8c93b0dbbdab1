package memcachedfront

import (
	"net"
	"time"

	"cairn/live"
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// showing are the commands of a connection that operators watch and whose answers are
// being sent. There are none as long as nobody watches.
type showing struct {
	commands []live.Command
	keys     []byte // those of the commands, which outlive their burst here
}

// show keeps what operators want to know of the burst until it is known how long it
// took.
func (c *conn) show(b *session.Burst) {
	feed := c.server.options.Live
	if c.showing == nil {
		c.showing = new(showing)
	}
	for i := range c.plan {
		first, end := int(c.plan[i].first), len(b.Commands)
		if i+1 < len(c.plan) {
			end = int(c.plan[i+1].first)
		}
		if first == end {
			c.showOne(feed, c.plan[i].verb, nil, nil)
		}
		for k := first; k < end; k++ {
			c.showOne(feed, c.plan[i].verb, &b.Commands[k], &b.Results[k])
		}
	}
}

// showOne keeps one command; cmd and result are nil if the request had none.
func (c *conn) showOne(feed *live.Feed, verb protocol.Verb, cmd *session.Command, result *session.Result) {
	if len(c.showing.commands) >= maxBurstCommands {
		return
	}
	var of live.Command
	of.Verb = verb.String()
	if cmd != nil {
		of.Op, of.Outcome, of.Size = cmd.Op, live.Outcome(cmd.Op, c.shown(cmd, result)), shownSize(cmd, result)
		of.Key = cmd.Key
	}
	if !feed.Concerns(of.Verb, of.Op, of.Key) {
		return
	}
	if of.Key != nil {
		begin := len(c.showing.keys)
		c.showing.keys = append(c.showing.keys, of.Key...)
		of.Key = c.showing.keys[begin:len(c.showing.keys):len(c.showing.keys)]
	}
	c.showing.commands = append(c.showing.commands, of)
}

// shownSize is the length of the value that a command brought or found.
func shownSize(cmd *session.Command, result *session.Result) int {
	if cmd.Op == session.OpGet {
		return len(result.Item.Value)
	}
	return len(cmd.Value)
}

// tellShowing tells operators what the connection did, and how long that took.
func (c *conn) tellShowing(took time.Duration) {
	if c.showing == nil {
		return
	}
	from := live.Origin{Front: session.Memcached, Connection: c.link.ID(), User: c.User()}
	if tcp, ok := c.link.Remote().(*net.TCPAddr); ok {
		from.Client = tcp.String()
	}
	now := time.Now()
	for i := range c.showing.commands {
		of := &c.showing.commands[i]
		of.At, of.Took, of.From = now, took, from
	}
	c.server.options.Live.Tell(c.showing.commands)
	c.showing = nil
}
