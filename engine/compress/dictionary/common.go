package dictionary

import (
	"bytes"
	"encoding/binary"
)

// gramLen is the length in bytes of the strings that are counted.
const gramLen = 8

// commonParts returns at most size bytes that hold, one behind the other, the
// strings that samples have in common: any gramLen bytes of one of those strings
// occur in at least minSharers samples. So a token or a name that is in one
// session only is not in the result.
func commonParts(samples [][]byte, minSharers, size int) []byte {
	sharers := countSharers(samples)
	parts := make([]byte, 0, size)
	for _, sample := range samples {
		for at := 0; at < len(sample); {
			n := commonPrefix(sample[at:], sharers, minSharers)
			part := sample[at : at+n]
			if len(parts)+n > size {
				return parts
			}
			if !bytes.Contains(parts, part) {
				parts = append(parts, part...)
			}
			at += max(n, 1)
		}
	}
	return parts
}

// sharing says how many samples hold a gram, and which was the last to be
// counted.
type sharing struct{ samples, last int32 }

func countSharers(samples [][]byte) map[uint64]sharing {
	sharers := make(map[uint64]sharing)
	for i, sample := range samples {
		for at := 0; at+gramLen <= len(sample); at++ {
			gram := binary.LittleEndian.Uint64(sample[at:])
			if s := sharers[gram]; s.samples == 0 || s.last != int32(i) {
				sharers[gram] = sharing{samples: s.samples + 1, last: int32(i)}
			}
		}
	}
	return sharers
}

// commonPrefix returns the length of the longest prefix of s in which every gram
// has enough sharers.
func commonPrefix(s []byte, sharers map[uint64]sharing, enough int) (n int) {
	for at := 0; at+gramLen <= len(s); at++ {
		if sharers[binary.LittleEndian.Uint64(s[at:])].samples < int32(enough) {
			break
		}
		n = at + gramLen
	}
	return n
}
