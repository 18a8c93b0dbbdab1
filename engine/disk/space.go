package disk

import (
	"sync/atomic"

	"cairn/session"
)

// space watches the free space of the data directory's file system.
type space struct {
	disk        *Options
	lacking     atomic.Bool
	none        atomic.Bool  // there is as good as no free space
	free, total atomic.Int64 // bytes; 0: unknown
	reserve     atomic.Int64 // bytes that writes must leave free; not positive: none
}

// Low reports whether the free space is below the reserve, so that growing
// writes must be refused.
func (d *Disk) Low() bool { return d.space.lacking.Load() }

// LookAtSpace measures the free space. A file system that cannot tell is never
// full.
func (d *Disk) LookAtSpace() { d.space.look() }

// WarnOfReserve logs if the reserve leaves no space at all.
func (d *Disk) WarnOfReserve() {
	if reserve, total := d.space.reserve.Load(), d.space.total.Load(); total > 0 && reserve >= total {
		d.options.Logger.Warn("the disk is smaller than the reserve that writes must leave; all of them are refused",
			"size", total, "reserve", reserve)
	}
}

// noSpace is the free space, in bytes, that does not count.
const noSpace = 1 << 20

func (w *space) look() {
	usage, err := w.disk.FS.GetDiskUsage(w.disk.Dir)
	if err != nil {
		return
	}
	var reserve int64
	if w.disk.Reserve != nil {
		reserve = w.disk.Reserve(int64(usage.TotalBytes))
	}
	w.none.Store(int64(usage.AvailBytes) < noSpace)
	w.free.Store(int64(usage.AvailBytes))
	w.total.Store(int64(usage.TotalBytes))
	w.reserve.Store(reserve)
	lacking := reserve > 0 && int64(usage.AvailBytes) < reserve
	if w.lacking.Swap(lacking) == lacking {
		return
	}
	if lacking {
		w.disk.Logger.Error("disk space is below the reserve; writes are refused",
			"free", usage.AvailBytes, "reserve", reserve, "error", session.ErrNoSpace)
	} else {
		w.disk.Logger.Info("disk space is back; writes are accepted", "free", usage.AvailBytes)
	}
}
