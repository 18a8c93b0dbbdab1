package protocol

import (
	"math"

	"cairn/session"
)

// memcached reads numbers in two ways, and so does this file. Flags and exptime of
// the classic storage commands are read as C does, by ParseFlags and ParseExptime.
// Every other number of the text and meta protocols is plain: digits, with a minus
// sign where it has one, and nothing else.

// ParseFlags reads the client flags of a classic storage command. What goes beyond
// 32 bits is cut off, as in memcached.
func ParseFlags(token []byte) (uint32, bool) {
	n, ok := session.ParseNumber(token)
	return uint32(n), ok
}

// ParseExptime reads the expiration time in seconds of a classic storage command.
// memcached reads a signed number of 64 bits, refuses what goes beyond, and keeps
// the low 32 bits, with their sign: 2^32-1, which clients send for a time in the
// past, is -1. The binary protocol's 32 bits have no sign.
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

// The longest plain numbers in bytes that memcached reads, leading zeros included.
const (
	maxPlain32 = 11
	maxPlain64 = 22
)

// ParsePlainUint32 reads a plain number of 32 bits.
func ParsePlainUint32(token []byte) (uint32, bool) {
	n, ok := scanPlain(token, maxPlain32, math.MaxUint32)
	return uint32(n), ok
}

// ParsePlainUint64 reads a plain number of 64 bits.
func ParsePlainUint64(token []byte) (uint64, bool) {
	return scanPlain(token, maxPlain64, math.MaxUint64)
}

// ParsePlainExptime reads a plain number of 32 bits with a sign: an expiration
// time, or a delay, in seconds. A minus sign alone is 0, as in memcached.
func ParsePlainExptime(token []byte) (seconds int64, ok bool) {
	switch {
	case len(token) > maxPlain32:
		return 0, false
	case len(token) > 0 && token[0] == '-':
		n, ok := scanPlain(token[1:], maxPlain32, -math.MinInt32)
		return -int64(n), ok
	}
	n, ok := scanPlain(token, maxPlain32, math.MaxInt32)
	return int64(n), ok
}

// scanPlain reads digits; none are 0.
func scanPlain(token []byte, longest int, largest uint64) (n uint64, ok bool) {
	if len(token) > longest {
		return 0, false
	}
	for _, c := range token {
		digit := uint64(c - '0')
		if digit > 9 || n > (largest-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}

// parseLength reads the announced length of a data block in bytes.
func parseLength(token []byte) (length int, ok bool) {
	n, ok := ParsePlainExptime(token)
	if len(token) == 0 || !ok || n < 0 || n > maxLength {
		return 0, false
	}
	return int(n), true
}
