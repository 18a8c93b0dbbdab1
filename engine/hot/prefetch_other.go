//go:build !amd64 && !arm64

package hot

import "unsafe"

// prefetch does nothing: this processor is not told what will be read.
func prefetch(unsafe.Pointer) {}
