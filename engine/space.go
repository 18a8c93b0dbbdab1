package engine

import (
	"sync/atomic"

	"cairn/session"
)

// space watches the free space of the data directory's file system.
type space struct {
	lacking     atomic.Bool
	free, total atomic.Int64 // bytes; 0: unknown
	reserve     atomic.Int64 // bytes that writes must leave free; not positive: none
}

// reserveShare is the part of a small volume that is its default reserve.
const reserveShare = 1. / 8

// low reports whether growing writes must be refused.
func (w *space) low() bool { return w.lacking.Load() }

func (w *space) start(s *Store) {
	w.look(s)
	if reserve, total := w.reserve.Load(), w.total.Load(); total > 0 && reserve >= total {
		s.options.Logger.Warn("the disk is smaller than the reserve that writes must leave; all of them are refused",
			"size", total, "reserve", reserve)
	}
}

// look measures the free space. A file system that cannot tell is never full.
func (w *space) look(s *Store) {
	usage, err := s.options.FS.GetDiskUsage(s.options.Dir)
	if err != nil {
		return
	}
	w.free.Store(int64(usage.AvailBytes))
	w.total.Store(int64(usage.TotalBytes))
	reserve := s.options.reserveOf(int64(usage.TotalBytes))
	w.reserve.Store(reserve)
	lacking := reserve > 0 && int64(usage.AvailBytes) < reserve
	if w.lacking.Swap(lacking) == lacking {
		return
	}
	if lacking {
		s.options.Logger.Error("disk space is below the reserve; writes are refused",
			"free", usage.AvailBytes, "reserve", reserve, "error", session.ErrNoSpace)
	} else {
		s.options.Logger.Info("disk space is back; writes are accepted", "free", usage.AvailBytes)
	}
}

// reserveOf is the reserve, in bytes, on a disk of that size.
func (o *Options) reserveOf(total int64) int64 {
	if !o.scaleReserve {
		return o.DiskReserve
	}
	return min(o.DiskReserve, int64(float64(total)*reserveShare))
}
