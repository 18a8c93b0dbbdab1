package log

import "time"

// Hooks stand between a log and its files. Each may do something before or after
// what it is to do, or instead.
type Hooks struct {
	Write func(path string, write func() error) error
	Sync  func(path string, sync func() error) error

	// Direct makes files of any file system look as if they were written past the
	// page cache.
	Direct bool
}

// Hook makes a log have hooks.
func (o *Options) Hook(h Hooks) {
	o.wrap = func(path string, d device) device { return hooked{d, path, h} }
}

type hooked struct {
	device
	path string
	h    Hooks
}

func (d hooked) direct() bool { return d.device.direct() || d.h.Direct }

func (d hooked) write(p []byte, off int64) error {
	if d.direct() && (len(p)%blockSize != 0 || off%blockSize != 0) {
		panic("not whole blocks")
	}
	if d.h.Write == nil {
		return d.device.write(p, off)
	}
	return d.h.Write(d.path, func() error { return d.device.write(p, off) })
}

func (d hooked) sync() error {
	if d.h.Sync == nil {
		return d.device.sync()
	}
	return d.h.Sync(d.path, d.device.sync)
}

// ErrNoDirect is how a file says that it cannot be written past the page cache.
var ErrNoDirect = errNoDirect

// Sizes of the format, bytes.
const (
	HeaderSize  = headerSize
	FrameHeader = frameHeader
	MarkSize    = markSize
)

// PaceWait is what a sync of n callers would wait, now after one of crowd callers
// began at began.
func PaceWait(crowd int, began, now time.Time, n int, window time.Duration) time.Duration {
	p := pace{crowd: crowd, began: began}
	return p.wait(now, n, window)
}
