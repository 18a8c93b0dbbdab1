//go:build race

package memcachedfront_test

// raceFactor is how much more memory the race detector may take.
const raceFactor = 4
