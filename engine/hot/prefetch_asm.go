//go:build amd64 || arm64

package hot

import "unsafe"

// prefetch makes the processor begin to load the 256 bytes at p, if they are not in its
// cache, and does not wait for them. It has no other effect: p may be followed by less.
//
//go:noescape
func prefetch(p unsafe.Pointer)
