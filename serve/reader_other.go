//go:build !unix

package serve

// canReadDescriptors says that readReady works on this platform.
const canReadDescriptors = false

func (r *reader) readReady(uintptr) (done bool) { return true }

// gone reports whether the other side is known to have closed the connection.
func (r *reader) gone() bool { return false }
