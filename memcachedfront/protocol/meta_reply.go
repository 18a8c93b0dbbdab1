package protocol

import (
	"encoding/base64"
	"strconv"

	"cairn/session"
)

// Codes that begin the answers to meta commands.
const (
	MetaHit      = "HD"
	MetaMiss     = "EN"
	MetaExists   = "EX"
	MetaNotFound = "NF"
	MetaNotSaved = "NS"
	MetaPong     = "MN\r\n"
)

// MetaReply is what the answer to a meta command is made of.
type MetaReply struct {
	Item *session.Item // what was found or left behind; nil if nothing was
	Now  session.Time
	Idle int64 // seconds since the last access

	// Args are the request's flags: they say what to return, in that order.
	Args      []byte
	Base64Key bool
	Key       []byte

	Size int    // of the value in bytes
	CAS  uint64 // what the flag c returns
	Won  bool   // the client is the one to recache the item
}

// AppendMetaFlags appends what the flags ask for, and the line's end. Those in
// wanted are answered, the others skipped.
func AppendMetaFlags(dst []byte, m *MetaReply, wanted string) []byte {
	for flag, rest := nextToken(m.Args); flag != nil; flag, rest = nextToken(rest) {
		if !contains(wanted, flag[0]) {
			continue
		}
		dst = append(dst, ' ')
		switch flag[0] {
		case 'O':
			dst = append(dst, flag...)
			continue
		}
		dst = append(dst, flag[0])
		dst = appendMetaFlag(dst, flag[0], m)
	}
	return dst
}

func contains(letters string, letter byte) bool {
	for i := range len(letters) {
		if letters[i] == letter {
			return true
		}
	}
	return false
}

func appendMetaFlag(dst []byte, letter byte, m *MetaReply) []byte {
	switch letter {
	case 's':
		return strconv.AppendInt(dst, int64(m.Size), 10)
	case 't':
		return strconv.AppendInt(dst, TTL(m.Item.Expiry, m.Now), 10)
	case 'c':
		return strconv.AppendUint(dst, m.CAS, 10)
	case 'f':
		return strconv.AppendUint(dst, uint64(m.Item.Flags), 10)
	case 'l':
		return strconv.AppendInt(dst, m.Idle, 10)
	case 'h':
		if m.Item.Fetched {
			return append(dst, '1')
		}
		return append(dst, '0')
	case 'k':
		if m.Base64Key {
			dst = base64.StdEncoding.AppendEncode(dst, m.Key)
			return append(dst, " b"...)
		}
		return append(dst, m.Key...)
	}
	return dst
}

// AppendMetaDebug appends the answer to me: all that is known about the item.
// idle is in seconds.
func AppendMetaDebug(dst []byte, it *session.Item, base64Key bool, now session.Time, idle int64) []byte {
	dst = append(dst, "ME "...)
	if base64Key {
		dst = base64.StdEncoding.AppendEncode(dst, it.Key)
	} else {
		dst = append(dst, it.Key...)
	}
	dst = append(dst, " exp="...)
	dst = strconv.AppendInt(dst, TTL(it.Expiry, now), 10)
	dst = append(dst, " la="...)
	dst = strconv.AppendInt(dst, idle, 10)
	dst = append(dst, " cas="...)
	dst = strconv.AppendUint(dst, it.Version, 10)
	dst = append(dst, " fetch="...)
	dst = append(dst, yesNo(it.Fetched)...)
	dst = append(dst, " cls=1 size="...)
	dst = strconv.AppendInt(dst, int64(len(it.Key)+len(it.Value)), 10)
	return append(dst, '\r', '\n')
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
