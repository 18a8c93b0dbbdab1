package memcachedfront

import (
	"strings"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

func (c *conn) version(r *protocol.Request, b *session.Burst) {
	r.Quiet = false
	c.say(r, b, c.server.versionLine)
}

func (c *conn) answerBinaryVersion(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	return protocol.AppendBinary(dst, h, nil, c.server.options.Version)
}

// verbosity is: verbosity <level> [noreply]
func (c *conn) verbosity(r *protocol.Request, b *session.Burst) {
	level, ok := parseArgument(arguments(r), 0)
	if !ok {
		c.refuse(r, b, protocol.BadFormat)
		return
	}
	c.server.setVerbosity(uint64(level))
	c.say(r, b, protocol.OK)
}

func (c *conn) binaryVerbosity(a *answer, r *protocol.Request, b *session.Burst) {
	c.server.setVerbosity(r.Delta)
}

func (c *conn) quit(r *protocol.Request, b *session.Burst) { c.closing = true }

func (c *conn) binaryQuit(a *answer, r *protocol.Request, b *session.Burst) { c.closing = true }

// shutdown is: shutdown [graceful]
func (c *conn) shutdown(r *protocol.Request, b *session.Burst) {
	request := c.server.options.RequestShutdown
	switch args := arguments(r); {
	case request == nil:
		c.say(r, b, "SERVER_ERROR: shutdown not enabled\r\n")
	case len(args) == 0:
		c.closing = true
		request(false)
	case len(args) == 1 && args[0] == "graceful":
		c.closing = true
		request(true)
	default:
		c.say(r, b, "CLIENT_ERROR invalid shutdown mode\r\n")
	}
}

// cacheMemlimit is: cache_memlimit <megabytes> [noreply]
func (c *conn) cacheMemlimit(r *protocol.Request, b *session.Burst) {
	megabytes, ok := parseArgument(arguments(r), 0)
	switch {
	case !ok:
		c.refuse(r, b, protocol.UnknownCommand)
	case megabytes < 8:
		c.say(r, b, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n")
	case megabytes > 1e9:
		c.say(r, b, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n")
	case c.server.setMemoryLimit(int64(megabytes)<<20) != nil:
		c.say(r, b, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n")
	default:
		c.say(r, b, protocol.OK)
	}
}

// refreshCerts reads the certificates again.
func (c *conn) refreshCerts(r *protocol.Request, b *session.Burst) {
	reload := c.server.options.ReloadCertificates
	if reload == nil {
		c.say(r, b, "Error TLS not enabled\r\n")
		return
	}
	if err := reload(); err != nil {
		c.say(r, b, "SERVER_ERROR cannot reload certificates: "+oneLine(err.Error())+"\r\n")
		return
	}
	c.say(r, b, protocol.OK)
}

// oneLine keeps a message from ending a line of the protocol early.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c < ' ' }), " ")
}
