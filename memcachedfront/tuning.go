package memcachedfront

import (
	"slices"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// slabs is: slabs reassign <source> <destination>, and: slabs automove
// 0|1|2|ratio <ratio>. There are no slabs: what only tunes them is accepted and
// has no effect, so that scripts for memcached go on working.
func (c *conn) slabs(r *protocol.Request, b *session.Burst) {
	args := arguments(r)
	switch {
	case len(args) == 3 && args[0] == "reassign":
		c.say(r, b, "NOSPARE source class has no spare pages\r\n")
	case len(args) < 2 || args[0] != "automove":
		c.refuse(r, b, protocol.UnknownCommand)
	case args[1] == "ratio" || args[1] == "freeratio" || args[1] == "window":
		c.accept(r, b, len(args) > 2 && isNumber(args[2]))
	default:
		if level, ok := parseArgument(args, 1); !ok {
			c.refuse(r, b, protocol.BadFormat)
		} else {
			c.accept(r, b, level <= 2)
		}
	}
}

// accept answers a command that has no effect.
func (c *conn) accept(r *protocol.Request, b *session.Burst, valid bool) {
	if valid {
		c.say(r, b, protocol.OK)
	} else {
		c.refuse(r, b, protocol.UnknownCommand)
	}
}

// lru is: lru tune <hot> <warm> <factor> <factor>, lru mode flat|segmented, and
// lru temp_ttl <seconds>. It tunes an eviction that does not exist here, as in
// slabs.
func (c *conn) lru(r *protocol.Request, b *session.Burst) {
	args := arguments(r)
	if len(args) == 0 {
		c.refuse(r, b, protocol.UnknownCommand)
		return
	}
	switch args[0] {
	case "tune":
		c.accept(r, b, len(args) >= 5 && !slices.ContainsFunc(args[1:5], func(s string) bool { return !isNumber(s) }))
	case "mode":
		c.accept(r, b, len(args) >= 2 && (args[1] == "flat" || args[1] == "segmented"))
	case "temp_ttl":
		c.accept(r, b, len(args) >= 2 && isNumber(args[1]))
	default:
		c.refuse(r, b, protocol.UnknownCommand)
	}
}

// extstore tunes a storage that does not exist here, as in slabs.
func (c *conn) extstore(r *protocol.Request, b *session.Burst) {
	c.accept(r, b, len(arguments(r)) >= 2)
}
