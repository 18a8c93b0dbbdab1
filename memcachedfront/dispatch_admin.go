package memcachedfront

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// say plans a fixed answer.
func (c *conn) say(r *protocol.Request, b *session.Burst, line string) {
	c.expect(r, b).line = line
}

// refuse plans the answer of a fault.
func (c *conn) refuse(r *protocol.Request, b *session.Burst, f protocol.Fault) {
	c.expect(r, b).refuse(f)
}

// arguments gives the arguments of an administrative request in text, without
// a noreply at the end.
func arguments(r *protocol.Request) []string {
	args := strings.Fields(string(r.Args))
	if r.Quiet {
		args = args[:len(args)-1]
	}
	return args
}

// flushAll is: flush_all [delay] [noreply]
func (c *conn) flushAll(r *protocol.Request, b *session.Burst) {
	c.counters.add(cmdFlush, 1)
	if args := arguments(r); len(args) > 0 {
		delay, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			c.refuse(r, b, protocol.BadExptime)
			return
		}
		r.Exptime = delay
	}
	if c.server.options.DisableFlush {
		c.refuse(r, b, protocol.FlushNotAllowed)
		return
	}
	c.expect(r, b).count = 1
	cmd := b.Add()
	cmd.Op = session.OpFlush
	cmd.FlushAt = b.Now
	if r.Exptime > 0 {
		cmd.FlushAt = protocol.Expiry(r.Exptime, b.Now)
	}
}

func (c *conn) version(r *protocol.Request, b *session.Burst) {
	r.Quiet = false
	c.say(r, b, c.server.versionLine)
}

// verbosity is: verbosity <level> [noreply]
func (c *conn) verbosity(r *protocol.Request, b *session.Burst) {
	level, err := parseArgument(arguments(r), 0, math.MaxUint32)
	if err != nil {
		c.refuse(r, b, protocol.BadFormat)
		return
	}
	c.server.setVerbosity(level)
	c.say(r, b, protocol.OK)
}

// parseArgument reads the argument at index i as a number of at most limit.
func parseArgument(args []string, i int, limit uint64) (uint64, error) {
	if i >= len(args) {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(args[i], 10, 64)
	if err == nil && n > limit {
		err = strconv.ErrRange
	}
	return n, err
}

func (c *conn) quit(r *protocol.Request, b *session.Burst) { c.closing = true }

// stats is: stats [group]. Its answer is put together after those before it.
func (c *conn) stats(r *protocol.Request, b *session.Burst) {
	r.Quiet = false
	c.expect(r, b).args = r.Args
}

// shutdown is: shutdown [graceful]
func (c *conn) shutdown(r *protocol.Request, b *session.Burst) {
	request := c.server.options.RequestShutdown
	switch args := arguments(r); {
	case request == nil:
		c.say(r, b, "ERROR: shutdown not enabled\r\n")
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
	megabytes, err := parseArgument(arguments(r), 0, math.MaxUint32)
	switch {
	case err != nil:
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
		if level, err := parseArgument(args, 1, math.MaxUint32); err != nil {
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

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
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

// lruCrawler is: lru_crawler enable|disable|sleep <n>|tocrawl <n>|crawl
// <classes>|metadump <classes>|mgdump <classes>. Only the dumps do something:
// expired sessions leave by themselves.
func (c *conn) lruCrawler(r *protocol.Request, b *session.Burst) {
	args := arguments(r)
	switch {
	case len(args) == 1 && (args[0] == "enable" || args[0] == "disable"):
		c.say(r, b, protocol.OK)
	case len(args) != 2:
		c.refuse(r, b, protocol.UnknownCommand)
	case args[0] == "sleep" || args[0] == "tocrawl":
		c.tuneCrawler(r, b, args)
	case args[0] == "crawl" && validClasses(args[1]):
		c.say(r, b, protocol.OK)
	case (args[0] == "metadump" || args[0] == "mgdump") && validClasses(args[1]):
		c.dump(r, b, args[0], args[1])
	case args[0] == "crawl" || args[0] == "metadump" || args[0] == "mgdump":
		c.say(r, b, "BADCLASS invalid class id\r\n")
	default:
		c.refuse(r, b, protocol.UnknownCommand)
	}
}

func (c *conn) tuneCrawler(r *protocol.Request, b *session.Burst, args []string) {
	n, err := parseArgument(args, 1, math.MaxUint32)
	switch {
	case err != nil:
		c.refuse(r, b, protocol.BadFormat)
	case args[0] == "sleep" && n > 1e6:
		c.say(r, b, "CLIENT_ERROR sleep must be one second or less\r\n")
	default:
		c.say(r, b, protocol.OK)
	}
}

// validClasses reports whether s is "all", "hash", or a list of slab classes.
func validClasses(s string) bool {
	if s == "all" || s == "hash" {
		return true
	}
	for class := range strings.SplitSeq(s, ",") {
		if n, err := strconv.Atoi(class); err != nil || n < 1 || n > 63 {
			return false
		}
	}
	return true
}

// holdsItems reports whether items belong to one of the classes: all of them
// are in class 1.
func holdsItems(classes string) bool {
	if classes == "all" || classes == "hash" {
		return true
	}
	for class := range strings.SplitSeq(classes, ",") {
		if n, _ := strconv.Atoi(class); n == 1 {
			return true
		}
	}
	return false
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

// config is ElastiCache's discovery: config get cluster
func (c *conn) config(r *protocol.Request, b *session.Burst) {
	args := arguments(r)
	if c.server.clusterConfig == "" || len(args) != 2 || args[0] != "get" || args[1] != "cluster" {
		c.refuse(r, b, protocol.UnknownCommand)
		return
	}
	c.say(r, b, c.server.clusterConfig)
}
