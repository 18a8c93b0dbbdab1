package log

import "time"

// pace decides how long a sync waits for others to join it. Alone it never waits.
// When many callers share syncs and the disk is quick, the next sync begins some
// time after the one before had begun, at most Options.MaxWindow: fewer syncs cost
// less CPU, and each caller waits little longer. A disk that is slower than that
// sets the pace itself.
type pace struct {
	// crowd is how many callers the last groups had, halved with each new one: as
	// soon as so many are there, nobody is waited for.
	crowd int
	began time.Time // the last write
}

const (
	// Below fewCallers nobody waits, from manyCallers on for the whole window.
	fewCallers, manyCallers = 4, 32
)

// wait returns how long the next group should wait from now on, if n callers are
// there.
func (p *pace) wait(now time.Time, n int, window time.Duration) time.Duration {
	if p.crowd < fewCallers || n >= p.crowd || window <= 0 {
		return 0
	}
	window = window * time.Duration(min(p.crowd, manyCallers)) / manyCallers
	return p.began.Add(window).Sub(now)
}

// begin notes that a group of n callers is written.
func (p *pace) begin(now time.Time, n int) {
	p.crowd = max(n, (p.crowd+n)/2)
	p.began = now
}
