package protocol

import "cairn/session"

// ParseUint32 reads client flags or an argument of an administrative command.
// What goes beyond 32 bits is cut off, as in memcached.
func ParseUint32(token []byte) (uint32, bool) {
	n, ok := session.ParseNumber(token)
	return uint32(n), ok
}

// ParseExptime reads an expiration time or a delay in seconds of the text and
// meta protocols. memcached reads a signed number of 64 bits, refuses what goes
// beyond, and keeps the low 32 bits, with their sign: 2^32-1, which clients send
// for a time in the past, is -1. The binary protocol's 32 bits have no sign.
func ParseExptime(token []byte) (seconds int64, ok bool) {
	magnitude, negative, ok := session.ScanNumber(token)
	switch {
	case !ok, magnitude > 1<<63, magnitude == 1<<63 && !negative:
		return 0, false
	case negative:
		magnitude = -magnitude
	}
	return int64(int32(magnitude)), true
}

// parseLength reads the announced length of a data block in bytes.
func parseLength(token []byte) (length int, ok bool) {
	n, negative, ok := session.ScanNumber(token)
	if !ok || n > maxLength || negative && n > 0 {
		return 0, false
	}
	return int(n), true
}
