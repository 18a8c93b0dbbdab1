package resp

import "strconv"

// AppendCommand appends a command: an array of bulk strings.
func AppendCommand[T ~string | ~[]byte](dst []byte, words ...T) []byte {
	dst = AppendArray(dst, len(words))
	for _, word := range words {
		dst = AppendBulk(dst, word)
	}
	return dst
}

// AppendArray appends the head of an array of n elements, which the caller
// appends behind it.
func AppendArray(dst []byte, n int) []byte { return appendHead(dst, Array, n) }

// AppendBulk appends a bulk string.
func AppendBulk[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = appendHead(dst, Bulk, len(s))
	dst = append(dst, s...)
	return append(dst, "\r\n"...)
}

// AppendBulkInteger appends a bulk string of decimal digits, as commands carry
// their numbers.
func AppendBulkInteger(dst []byte, n int64) []byte {
	var digits [20]byte
	return AppendBulk(dst, strconv.AppendInt(digits[:0], n, 10))
}

func appendHead(dst []byte, kind Kind, number int) []byte {
	dst = append(dst, byte(kind))
	dst = strconv.AppendInt(dst, int64(number), 10)
	return append(dst, "\r\n"...)
}
