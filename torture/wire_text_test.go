package torture

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"cairn/session"
)

// text is the classic text protocol.
type text struct{}

func (text) name() string { return "text" }

func (text) speaks(c *session.Command) bool {
	switch c.Op {
	case session.OpGet:
		return c.Mods&^session.SetExpiry == 0
	case session.OpSet:
		return c.Mods&^session.IfVersion == 0
	case session.OpFlush:
		return true
	}
	return c.Mods == 0
}

var textVerbs = map[session.Op]string{
	session.OpSet: "set", session.OpAdd: "add", session.OpReplace: "replace", session.OpAppend: "append",
	session.OpPrepend: "prepend", session.OpIncr: "incr", session.OpDecr: "decr", session.OpDelete: "delete",
	session.OpTouch: "touch",
}

func (text) ask(dst []byte, c *session.Command, now session.Time) []byte {
	verb := textVerbs[c.Op]
	switch c.Op {
	case session.OpFlush:
		return append(dst, "flush_all\r\n"...)
	case session.OpGet:
		if c.Has(session.SetExpiry) {
			return fmt.Appendf(dst, "gats %d %s\r\n", exptime(c.Expiry, now), c.Key)
		}
		return fmt.Appendf(dst, "gets %s\r\n", c.Key)
	case session.OpTouch:
		return fmt.Appendf(dst, "touch %s %d\r\n", c.Key, exptime(c.Expiry, now))
	case session.OpDelete:
		return fmt.Appendf(dst, "delete %s\r\n", c.Key)
	case session.OpIncr, session.OpDecr:
		return fmt.Appendf(dst, "%s %s %d\r\n", verb, c.Key, c.Delta)
	}
	if c.Has(session.IfVersion) {
		return fmt.Appendf(dst, "cas %s %d %d %d %d\r\n%s\r\n", c.Key, c.Flags, exptime(c.Expiry, now), len(c.Value), c.CAS, c.Value)
	}
	return fmt.Appendf(dst, "%s %s %d %d %d\r\n%s\r\n", verb, c.Key, c.Flags, exptime(c.Expiry, now), len(c.Value), c.Value)
}

func (t text) hear(r *bufio.Reader, c *session.Command) (answer, error) {
	line, err := readLine(r)
	if err != nil {
		return answer{}, err
	}
	switch line {
	case "STORED", "TOUCHED", "DELETED", "OK":
		return answer{status: session.OK}, nil
	case "NOT_STORED":
		return answer{status: session.NotStored}, nil
	case "EXISTS":
		return answer{status: session.Exists}, nil
	case "NOT_FOUND", "END":
		return answer{status: session.NotFound}, nil
	}
	if strings.HasPrefix(line, "VALUE ") {
		return t.hearValue(r, c, line)
	}
	if number, err := strconv.ParseUint(line, 10, 64); err == nil {
		return answer{status: session.OK, number: number}, nil
	}
	return errorLine(line)
}

func (text) hearValue(r *bufio.Reader, c *session.Command, line string) (a answer, err error) {
	a.status, a.hasItem = session.OK, true
	var key string
	var n int
	if _, err := fmt.Sscanf(line, "VALUE %s %d %d %d", &key, &a.flags, &n, &a.version); err != nil {
		return a, fmt.Errorf("reply %q: %w", line, err)
	}
	if key != string(c.Key) {
		return a, fmt.Errorf("reply %q to a request for %q", line, c.Key)
	}
	if a.value, err = readBlock(r, n); err != nil {
		return a, err
	}
	end, err := readLine(r)
	if err == nil && end != "END" {
		err = fmt.Errorf("%q after the value", end)
	}
	return a, err
}
