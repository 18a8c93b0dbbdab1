//go:build !race

package memcachedfront_test

const raceFactor = 1
