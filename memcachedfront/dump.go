package memcachedfront

import (
	"context"
	"encoding/base64"
	"strconv"

	"cairn/memcachedfront/protocol"
	"cairn/serve"
	"cairn/session"
)

// dumpChunk is the number of bytes of a dump that are written at once.
const dumpChunk = 64 << 10

// dump plans lru_crawler's metadump or mgdump: a line for every live item. It
// reads the store while others write, and sends as it reads.
func (c *conn) dump(r *protocol.Request, b *session.Burst, kind, classes string) {
	options := &c.server.options
	switch {
	case options.DisableDump && kind == "mgdump":
		c.say(r, b, "ERROR key dump not allowed\r\n")
		return
	case options.DisableDump || options.Inspector == nil:
		c.say(r, b, "ERROR metadump not allowed\r\n")
		return
	}
	line, end := c.server.appendMetadump, protocol.End
	if kind == "mgdump" {
		line, end = appendMgdump, "EN\r\n"
	}
	c.errand = func(ctx context.Context, w serve.Peer) error {
		d := dumper{to: w, line: line, out: []byte("OK\r\n")} // as memcached from 1.6.43 on
		if holdsItems(classes) {
			if err := d.scan(ctx, options.Inspector); err != nil {
				return err
			}
		}
		d.out = append(d.out, end...)
		return d.flush()
	}
}

// dumper writes one line per item.
type dumper struct {
	to   serve.Peer
	line func(dst []byte, it *session.Item) []byte
	out  []byte
	err  error
}

func (d *dumper) scan(ctx context.Context, from Inspector) error {
	err := from.Scan(ctx, nil, nil, func(it *session.Item) bool {
		d.out = d.line(d.out, it)
		if len(d.out) >= dumpChunk {
			d.err = d.flush()
		}
		return d.err == nil
	})
	if d.err != nil {
		return d.err
	}
	return err
}

func (d *dumper) flush() error {
	_, err := d.to.Write(d.out)
	d.out = d.out[:0]
	return err
}

// appendMetadump appends the line of a metadump. Instants are in Unix seconds.
func (s *Server) appendMetadump(dst []byte, it *session.Item) []byte {
	expiry := int64(-1)
	if it.Expiry != session.Never {
		expiry = it.Expiry.Unix()
	}
	last := it.LastAccess
	if last == 0 {
		last = s.started
	}
	dst = append(dst, "key="...)
	dst = appendURIEncoded(dst, it.Key)
	dst = append(dst, " exp="...)
	dst = strconv.AppendInt(dst, expiry, 10)
	dst = append(dst, " la="...)
	dst = strconv.AppendInt(dst, last.Unix(), 10)
	dst = append(dst, " cas="...)
	dst = strconv.AppendUint(dst, it.Version, 10)
	dst = append(dst, " fetch="...)
	dst = append(dst, yesNo(it.Fetched)...)
	dst = append(dst, " cls=1 size="...)
	dst = strconv.AppendInt(dst, int64(len(it.Key)+len(it.Value)), 10)
	dst = append(dst, " flags="...)
	dst = strconv.AppendUint(dst, uint64(it.Flags), 10)
	return append(dst, " \n"...) // the space as in memcached
}

// appendMgdump appends a request that fetches the item.
func appendMgdump(dst []byte, it *session.Item) []byte {
	dst = append(dst, "mg "...)
	if protocol.IsTextKey(it.Key) {
		dst = append(dst, it.Key...)
	} else {
		dst = base64.StdEncoding.AppendEncode(dst, it.Key)
		dst = append(dst, " b"...)
	}
	return append(dst, "\r\n"...)
}

// appendURIEncoded appends key with every byte but the unreserved ones of RFC
// 3986 as a percent sign and two hexadecimal digits.
func appendURIEncoded(dst, key []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range key {
		if isUnreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

func isUnreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
