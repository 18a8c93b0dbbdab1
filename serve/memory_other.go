//go:build !linux

package serve

// memoryLimit returns how many bytes of memory the process may use, which is not
// found out on this platform.
func memoryLimit() int64 { return 4 << 30 }
