package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// shape is what a part of a key must look like. The zero shape matches anything.
type shape struct {
	text        string
	class       *class // nil: any bytes
	least, most int    // length, without the suffix
	tomcat      bool   // -node and .route may follow
}

// class is a set of bytes.
type class struct {
	has  [256]bool
	size int
}

func newClass(members string) *class {
	c := &class{size: len(members)}
	for i := range len(members) {
		c.has[members[i]] = true
	}
	return c
}

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

var classes = map[string]*class{
	"hex":       newClass(digits + "abcdefABCDEF"),
	"alnum":     newClass(digits + lower + upper),
	"base64url": newClass(digits + lower + upper + "-_"),
}

// nodeClass is what the names of Tomcat's nodes and routes are made of.
var nodeClass = newClass(digits + lower + upper + "_-")

// tomcatSuffix is how a shape says that Tomcat's additions to an id may follow:
// the node that memcached-session-manager chose and the route of a balancer.
const tomcatSuffix = "[-node][.route]"

// parseShape reads "any" or a class and a length, such as "hex:32" or
// "base64url:20-40", which tomcatSuffix may follow.
func parseShape(text string) (shape, error) {
	s := shape{text: text}
	if text == "" || text == "any" {
		return s, nil
	}
	plain, tomcat := strings.CutSuffix(text, tomcatSuffix)
	s.tomcat = tomcat
	name, length, _ := strings.Cut(strings.TrimSpace(plain), ":")
	if s.class = classes[name]; s.class == nil {
		return s, fmt.Errorf("shape %q: must be any, or hex, alnum or base64url with a length, such as hex:32", text)
	}
	least, most, ranged := strings.Cut(length, "-")
	if !ranged {
		most = least
	}
	var errLeast, errMost error
	s.least, errLeast = strconv.Atoi(least)
	s.most, errMost = strconv.Atoi(most)
	if errLeast != nil || errMost != nil || s.least < 1 || s.most < s.least {
		return s, fmt.Errorf("shape %q: its length must be a number or two, such as 32 or 20-40", text)
	}
	return s, nil
}

// specificity orders shapes: the smaller, the fewer keys it matches.
func (s *shape) specificity() int {
	if s.class == nil {
		return 256
	}
	return s.class.size
}

// unbounded is longer than any key.
const unbounded = 1 << 30

// lengths returns how long what looks like the shape is.
func (s *shape) lengths() (least, most int) {
	if s.class == nil || s.tomcat {
		return s.least, unbounded
	}
	return s.least, min(s.most, unbounded)
}

// match reports whether id looks like the shape.
func (s *shape) match(id []byte) bool {
	switch {
	case s.class == nil:
		return true
	case !s.tomcat:
		return len(id) >= s.least && len(id) <= s.most && s.class.begin(id) == len(id)
	}
	most := min(s.most, unbounded)
	n := s.class.begin(id[:min(len(id), most+1)])
	rest := id[n:]
	return n >= s.least && n <= most && (len(rest) == 0 || matchTomcat(rest))
}

// begin returns how many bytes at the beginning of text are of the class.
func (c *class) begin(text []byte) int {
	n := 0
	for ; len(text)-n >= 4; n += 4 {
		if four := text[n : n+4 : n+4]; !(c.has[four[0]] && c.has[four[1]] && c.has[four[2]] && c.has[four[3]]) {
			break
		}
	}
	for n < len(text) && c.has[text[n]] {
		n++
	}
	return n
}

// matchTomcat reports whether rest is -node, .route or both.
func matchTomcat(rest []byte) bool {
	if rest[0] == '-' {
		rest = skipName(rest[1:])
	}
	if len(rest) > 0 && rest[0] == '.' {
		rest = skipName(rest[1:])
	}
	return len(rest) == 0
}

// skipName returns what stands behind the name that name begins with; name
// itself, which ends no match, if that is empty.
func skipName(name []byte) []byte {
	n := nodeClass.begin(name)
	if n == 0 {
		return []byte{0}
	}
	return name[n:]
}
