package session

import "strconv"

// ParseNumber reads the value of an item as memcached's incr and decr do: an
// unsigned decimal number of 64 bits, after optional white space and a plus
// sign, up to the end or to the first white space behind it.
func ParseNumber(value []byte) (n uint64, ok bool) {
	i := 0
	for i < len(value) && isSpace(value[i]) {
		i++
	}
	if i < len(value) && value[i] == '+' {
		i++
	}
	start := i
	for ; i < len(value) && '0' <= value[i] && value[i] <= '9'; i++ {
		digit := uint64(value[i] - '0')
		if n > (1<<64-1-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	if i == start || (i < len(value) && !isSpace(value[i])) {
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
