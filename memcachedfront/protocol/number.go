package protocol

import "math"

// parseUint reads a whole token as an unsigned decimal number of at most max.
// A plus sign may stand before it.
func parseUint(token []byte, max uint64) (n uint64, ok bool) {
	if len(token) > 0 && token[0] == '+' {
		token = token[1:]
	}
	if len(token) == 0 {
		return 0, false
	}
	for _, c := range token {
		digit := uint64(c - '0')
		if digit > 9 || n > (max-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}

func parseUint64(token []byte) (uint64, bool) { return parseUint(token, math.MaxUint64) }

func parseUint32(token []byte) (uint32, bool) {
	n, ok := parseUint(token, math.MaxUint32)
	return uint32(n), ok
}

// parseInt64 reads a whole token as a signed decimal number.
func parseInt64(token []byte) (int64, bool) {
	if len(token) > 1 && token[0] == '-' && token[1] != '+' {
		n, ok := parseUint(token[1:], math.MaxInt64)
		return -int64(n), ok
	}
	n, ok := parseUint(token, math.MaxInt64)
	return int64(n), ok
}
