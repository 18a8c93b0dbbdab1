package memcachedfront

import (
	"strconv"
	"strings"

	"cairn/memcachedfront/protocol"
)

// arguments gives the arguments of an administrative request in text, without
// a noreply at the end.
func arguments(r *protocol.Request) []string {
	args := strings.Fields(string(r.Args))
	if r.Quiet {
		args = args[:len(args)-1]
	}
	return args
}

// parseArgument reads the argument at index i as a number of at most limit.
func parseArgument(args []string, i int, limit uint64) (uint64, error) {
	if i >= len(args) {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(args[i], 10, 64)
	if err == nil && n > limit {
		err = strconv.ErrRange
	}
	return n, err
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
