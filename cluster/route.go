package cluster

import (
	"bytes"

	"github.com/zeebo/xxh3"
)

// companions are what clients put in front of a session's key to name what belongs
// to it: locks, backups, marks of validity. A session and its companions are in one
// group.
var companions = [][]byte{
	[]byte("memc.sess.key."), []byte("validity:"), []byte("lock:"), []byte("bak:"), []byte("lock."),
}

// route returns the part of a key that says which group it is in.
func route(key []byte) []byte {
	for range companions { // a backup of a lock, say
		stripped := key
		for _, c := range companions {
			if rest, ok := bytes.CutPrefix(stripped, c); ok && len(rest) > 0 {
				stripped = rest
			}
		}
		if len(stripped) == len(key) {
			break
		}
		key = stripped
	}
	return key
}

// groupOf returns the number of a key's group, of n.
func groupOf(key []byte, n int) int {
	if n == 1 {
		return 0
	}
	return int(xxh3.Hash(route(key)) % uint64(n))
}
