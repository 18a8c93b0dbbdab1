//go:build !cgo

package main

// manualMemory says that Pebble has its memtables and its block cache from C's
// allocator, so that they do not count in the Go runtime's limit.
const manualMemory = false
