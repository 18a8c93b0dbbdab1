package disk

import (
	"time"
)

// Figures are what a Disk has counted and measured since it was made.
type Figures struct {
	Free, Total    int64 // of the file system, bytes; 0: unknown
	SpareBytes     int64 // of spare logs
	Corruptions    int64 // that Pebble came upon
	SlowOperations int64
	WriteStalls    int64
	WriteStallTime time.Duration // the present stall included
	Stalled        bool          // writes wait at present
}

// Figures returns the present figures.
func (d *Disk) Figures() Figures {
	f := Figures{
		Free:           d.space.free.Load(),
		Total:          d.space.total.Load(),
		Corruptions:    d.events.corruptions.Load(),
		SlowOperations: d.events.slow.Load(),
		WriteStalls:    d.events.stalls.Load(),
		WriteStallTime: d.events.stallTime(),
		Stalled:        d.events.stalled.Load() != 0,
	}
	if d.logs != nil {
		f.SpareBytes = d.logs.bytes()
	}
	return f
}
