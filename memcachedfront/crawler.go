package memcachedfront

import (
	"strconv"
	"strings"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

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
	n, ok := parseArgument(args, 1)
	switch {
	case !ok:
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
