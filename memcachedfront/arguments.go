package memcachedfront

import (
	"strconv"
	"strings"

	"cairn/memcachedfront/protocol"
)

// arguments returns the arguments of an administrative request in text, without
// a noreply at the end. Only spaces separate them.
func arguments(r *protocol.Request) []string {
	args := split(r.Args)
	if r.Quiet {
		args = args[:len(args)-1]
	}
	return args
}

func split(args []byte) []string {
	return strings.FieldsFunc(string(args), func(c rune) bool { return c == ' ' })
}

// parseArgument reads the argument at index i as a number of 32 bits.
func parseArgument(args []string, i int) (n uint32, ok bool) {
	if i >= len(args) {
		return 0, false
	}
	return protocol.ParsePlainUint32([]byte(args[i]))
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
