package session

import "strconv"

// ScanNumber reads text as memcached reads a decimal number, which is C's way:
// white space and a sign may stand before the digits, and behind them the number
// ends at white space or a NUL, whatever follows. ok is false if there are no
// digits, if something else stands behind them, and beyond 64 bits.
func ScanNumber(text []byte) (magnitude uint64, negative, ok bool) {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	for i, c := range text {
		digit := uint64(c - '0')
		if digit > 9 {
			return magnitude, negative, i > 0 && (isSpace(c) || c == 0)
		}
		if magnitude > (1<<64-1-digit)/10 {
			return 0, false, false
		}
		magnitude = magnitude*10 + digit
	}
	return magnitude, negative, len(text) > 0
}

// ParseNumber reads an unsigned number of 64 bits, such as the value that incr
// changes, as ScanNumber does. A minus sign is refused unless the number, taken
// modulo 2^64, is less than 2^63.
func ParseNumber(text []byte) (n uint64, ok bool) {
	n, negative, ok := ScanNumber(text)
	if negative {
		n = -n
	}
	if !ok || negative && int64(n) < 0 {
		return 0, false
	}
	return n, true
}

// AppendNumber appends n in decimal to dst, padded with spaces to width bytes.
// memcached pads a changed number to the length it had before, and clients see
// that; stores do the same.
func AppendNumber(dst []byte, n uint64, width int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, n, 10)
	for len(dst)-start < width {
		dst = append(dst, ' ')
	}
	return dst
}

func isSpace(b byte) bool { return b == ' ' || ('\t' <= b && b <= '\r') }
