package protocol

import (
	"strconv"

	"cairn/session"
)

// Lines that answer text commands, with their line ends.
const (
	Stored    = "STORED\r\n"
	NotStored = "NOT_STORED\r\n"
	Exists    = "EXISTS\r\n"
	NotFound  = "NOT_FOUND\r\n"
	Deleted   = "DELETED\r\n"
	Touched   = "TOUCHED\r\n"
	OK        = "OK\r\n"
	End       = "END\r\n"
	ResetDone = "RESET\r\n"
)

// AppendValue appends the answer to get for one item: a VALUE line and the data
// block.
func AppendValue(dst []byte, it *session.Item, withCAS bool) []byte {
	dst = AppendValueLine(dst, it, withCAS)
	dst = append(dst, it.Value...)
	return append(dst, '\r', '\n')
}

// AppendValueLine appends the line in front of the data block of an item.
// withCAS adds the CAS unique, as gets does.
func AppendValueLine(dst []byte, it *session.Item, withCAS bool) []byte {
	dst = append(dst, "VALUE "...)
	dst = append(dst, it.Key...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(it.Flags), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(len(it.Value)), 10)
	if withCAS {
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, it.Version, 10)
	}
	return append(dst, '\r', '\n')
}

// AppendNumber appends the answer to incr or decr.
func AppendNumber(dst []byte, n uint64) []byte {
	dst = strconv.AppendUint(dst, n, 10)
	return append(dst, '\r', '\n')
}

// AppendStat appends one line of an answer to stats.
func AppendStat(dst []byte, name, value string) []byte {
	dst = append(dst, "STAT "...)
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}
