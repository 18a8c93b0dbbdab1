package torture

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"cairn/session"
)

// meta is the meta commands.
type meta struct{}

func (meta) name() string { return "meta" }

func (meta) speaks(c *session.Command) bool {
	switch c.Op {
	case session.OpGet:
		return c.Mods&^(session.SetExpiry|session.Vivify|session.Recache|session.SetVersion) == 0
	case session.OpTouch, session.OpFlush:
		return false
	case session.OpSet, session.OpReplace:
		return c.Mods&^(session.IfVersion|session.SetVersion|session.Invalidate) == 0
	case session.OpAdd:
		return c.Mods&^session.SetVersion == 0
	case session.OpAppend, session.OpPrepend:
		return c.Mods&^(session.IfVersion|session.SetVersion|session.Vivify) == 0
	case session.OpIncr, session.OpDecr:
		return c.Mods&^(session.IfVersion|session.SetVersion|session.Vivify|session.SetExpiry) == 0
	case session.OpDelete:
		// without T, memcached makes an item that loses its value immortal
		return c.Mods&^(session.IfVersion|session.SetVersion|session.Invalidate|session.DropValue|session.SetExpiry) == 0 &&
			(!c.Has(session.DropValue) || c.Has(session.SetExpiry))
	}
	return false
}

var metaModes = map[session.Op]string{
	session.OpAdd: " ME", session.OpReplace: " MR", session.OpAppend: " MA", session.OpPrepend: " MP", session.OpDecr: " MD",
}

func (m meta) ask(dst []byte, c *session.Command, now session.Time) []byte {
	switch c.Op {
	case session.OpGet:
		dst = fmt.Appendf(dst, "mg %s v f c s", c.Key)
		if c.Has(session.Recache) {
			dst = fmt.Appendf(dst, " R%d", exptime(c.RecacheBefore, now))
		}
	case session.OpDelete:
		dst = fmt.Appendf(dst, "md %s", c.Key)
		if c.Has(session.DropValue) {
			dst = append(dst, " x"...)
		}
	case session.OpIncr, session.OpDecr:
		dst = fmt.Appendf(dst, "ma %s v c D%d J%d%s", c.Key, c.Delta, c.Initial, metaModes[c.Op])
	default:
		dst = fmt.Appendf(dst, "ms %s %d c F%d%s", c.Key, len(c.Value), c.Flags, metaModes[c.Op])
	}
	dst = m.modifiers(dst, c, now)
	if c.Op == session.OpGet {
		dst = append(dst, " t"...)
	}
	dst = append(dst, "\r\n"...)
	if session.OpSet <= c.Op && c.Op <= session.OpPrepend {
		dst = append(append(dst, c.Value...), "\r\n"...)
	}
	return dst
}

// modifiers appends the flags that commands share.
func (meta) modifiers(dst []byte, c *session.Command, now session.Time) []byte {
	if c.Has(session.SetExpiry) || session.OpSet <= c.Op && c.Op <= session.OpReplace {
		dst = fmt.Appendf(dst, " T%d", exptime(c.Expiry, now))
	}
	if c.Has(session.Vivify) {
		dst = fmt.Appendf(dst, " N%d", exptime(c.VivifyExpiry, now))
	}
	if c.Has(session.IfVersion) {
		dst = fmt.Appendf(dst, " C%d", c.CAS)
	}
	if c.Has(session.SetVersion) {
		dst = fmt.Appendf(dst, " E%d", c.NewVersion)
	}
	if c.Has(session.Invalidate) {
		dst = append(dst, " I"...)
	}
	return dst
}

func (m meta) hear(r *bufio.Reader, c *session.Command) (answer, error) {
	line, err := readLine(r)
	if err != nil {
		return answer{}, err
	}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return answer{}, fmt.Errorf("empty reply")
	}
	switch fields[0] {
	case "VA", "HD":
		return m.hearItem(r, c, fields)
	case "EN", "NF":
		return answer{status: session.NotFound}, nil
	case "NS":
		return answer{status: session.NotStored}, nil
	case "EX":
		return answer{status: session.Exists}, nil
	}
	return errorLine(line)
}

func (m meta) hearItem(r *bufio.Reader, c *session.Command, fields []string) (a answer, err error) {
	a.status = session.OK
	flags := fields[1:]
	if fields[0] == "VA" {
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return a, err
		}
		if a.value, err = readBlock(r, n); err != nil {
			return a, err
		}
		a.hasItem, flags = true, fields[2:]
	}
	a.hasClaim = c.Op == session.OpGet
	for _, f := range flags {
		if err := a.metaFlag(f); err != nil {
			return a, err
		}
	}
	if c.Op == session.OpIncr || c.Op == session.OpDecr {
		a.number, err = strconv.ParseUint(string(a.value), 10, 64)
	}
	return a, err
}

func (a *answer) metaFlag(f string) (err error) {
	switch f[0] {
	case 'f':
		var flags uint64
		flags, err = strconv.ParseUint(f[1:], 10, 32)
		a.flags = uint32(flags)
	case 'c':
		a.version, err = strconv.ParseUint(f[1:], 10, 64)
	case 't':
		a.hasTTL = true
		a.ttl, err = strconv.ParseInt(f[1:], 10, 64)
	case 's':
		var size int
		if size, err = strconv.Atoi(f[1:]); err == nil && a.hasItem && size != len(a.value) {
			err = fmt.Errorf("size %d of a value of %d bytes", size, len(a.value))
		}
	case 'W':
		a.won, a.claimed = true, true
	case 'Z':
		a.claimed = true
	case 'X':
		a.stale = true
	default:
		err = fmt.Errorf("unknown flag %q", f)
	}
	return err
}
