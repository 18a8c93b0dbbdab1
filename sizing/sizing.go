// Package sizing estimates the memory and the disk that a load needs, from the
// figures that docs/sizing.md states.
package sizing

import (
	"errors"
	"fmt"
	"math"
	"time"

	"cairn/memory"
	"cairn/session"
	"cairn/ttl"
)

// Load is what clients will do.
type Load struct {
	Sessions    int64         // alive at a time
	ValueBytes  int64         // of one session, on average, as the client sends it
	KeyBytes    int64         // of one key, on average
	TTL         time.Duration // time to live
	Rate        float64       // requests a second; each reads a session and stores it again
	Compressed  float64       // share of a value that is left after compression, at most 1
	HotFor      time.Duration // a session that was used within it is to be in memory
	Connections int64         // open at a time
}

// Need is what the load takes, in bytes where nothing else is said.
type Need struct {
	Memory Memory `json:"memory"`
	Disk   Disk   `json:"disk"`
	Writes Writes `json:"writes"`
}

// Memory is what the server needs of it. The parts are in use at the same time;
// Total leaves room for garbage beside them.
type Memory struct {
	HotSessions int64 `json:"hot_sessions"` // how many are to be in memory
	Cache       int64 `json:"cache"`        // of hot sessions: -m, whole megabytes
	Buffers     int64 `json:"buffers"`      // of large values on their way
	Tables      int64 `json:"tables"`       // memtables and the block cache
	Filters     int64 `json:"filters"`      // and indexes of the files
	Connections int64 `json:"connections"`
	Total       int64 `json:"total"`   // --memory-total
	Machine     int64 `json:"machine"` // or container, of which Total is the default share
}

// Disk is what the data directory needs.
type Disk struct {
	Live    int64 `json:"live"`    // sessions alive, compressed
	Expired int64 `json:"expired"` // sessions whose bucket is not over, at most
	Old     int64 `json:"old"`     // copies that a later one has replaced
	Logs    int64 `json:"logs"`
	Ballast int64 `json:"ballast"` // held for a full disk
	Reserve int64 `json:"reserve"` // --disk-reserve
	Sum     int64 `json:"sum"`     // of the above
	Volume  int64 `json:"volume"`  // what to plan: Sum or the rule of thumb, the larger
}

// Writes is what the requests cost.
type Writes struct {
	BytesPerSecond int64   `json:"bytes_per_second"` // to the disk
	Processor      float64 `json:"processor"`        // cores that are busy
}

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30

	// hotOverhead is what a hot session takes beside key and value, in bytes;
	// cacheUse is the part of the cache that is not gaps.
	hotOverhead, cacheUse = 120, 0.75

	// recordBytes is the header of a record.
	recordBytes = 24

	// filterBytes is the memory that a session on disk takes, in filters and
	// indexes, and connectionBytes what an idle connection takes.
	filterBytes, connectionBytes = 60, 8 << 10

	// logCount logs as large as a memtable are there at most, as a rule.
	logCount     = 4
	ballastBytes = 8 * mebibyte

	// writeFactor is bytes to the disk over bytes from clients, and
	// requestSeconds the processor time of a read and a write.
	writeFactor, requestSeconds = 2.25, 55e-6

	// inUse is the part of the total that may be in use; see memory.NewPlan.
	inUse = 0.75

	// unlimited is the memory of a machine that bounds no plan.
	unlimited = 1 << 58

	// codeBytes are for code, stacks and small things.
	codeBytes = 16 * mebibyte

	// volumeFactor and volumeBase are the rule of thumb.
	volumeFactor, volumeBase = 3, gibibyte
)

// Bounds of what Estimate takes: beyond them sums of bytes would overflow.
const (
	MaxSessions = 1e12
	MaxBytes    = 1 << 30
	MaxRate     = 1e9
)

// Check returns the first fault of l.
func (l *Load) Check() error {
	positive := func(x float64, most float64) bool { return x > 0 && x <= most }
	switch {
	case !positive(float64(l.Sessions), MaxSessions):
		return fmt.Errorf("sessions must be between 1 and %g", float64(MaxSessions))
	case l.ValueBytes < 0 || l.ValueBytes > MaxBytes:
		return fmt.Errorf("a value has between 0 and %d bytes", MaxBytes)
	case l.KeyBytes < 1 || l.KeyBytes > session.MaxKeyLen:
		return fmt.Errorf("a key has between 1 and %d bytes", session.MaxKeyLen)
	case l.TTL < 0:
		return errors.New("the time to live must not be negative")
	case !(l.Rate >= 0 && l.Rate <= MaxRate): // NaN too
		return fmt.Errorf("the rate must be between 0 and %g", float64(MaxRate))
	case !positive(l.Compressed, 1):
		return errors.New("the share that is left after compression must be above 0 and at most 1")
	case l.HotFor < 0:
		return errors.New("the time for which sessions stay in memory must not be negative")
	case l.Connections < 0 || l.Connections > MaxRate:
		return fmt.Errorf("connections must be between 0 and %g", float64(MaxRate))
	case float64(l.Sessions)*float64(l.ValueBytes+l.KeyBytes) > 1<<50:
		return errors.New("so much does not fit on one machine")
	}
	return nil
}

// Estimate returns what l, which has passed Check, needs.
func Estimate(l Load) Need {
	m := memoryOf(&l)
	written := l.Rate * float64(l.KeyBytes+l.ValueBytes) * writeFactor
	return Need{
		Memory: m,
		Disk:   diskOf(&l, m.Total),
		Writes: Writes{int64(written), l.Rate * requestSeconds},
	}
}

func memoryOf(l *Load) Memory {
	hot := min(float64(l.Sessions), l.Rate*l.HotFor.Seconds())
	m := Memory{
		HotSessions: int64(math.Ceil(hot)),
		Cache:       megabytes(hot * float64(l.KeyBytes+l.ValueBytes+hotOverhead) / cacheUse),
		Filters:     l.Sessions * filterBytes,
		Connections: l.Connections * connectionBytes,
	}
	m.Cache = max(m.Cache, mebibyte)
	for total := leastTotal(&m); ; total += total/64/mebibyte*mebibyte + mebibyte {
		p := memory.NewPlan(memory.Wishes{Limit: unlimited, Total: total, Cache: m.Cache})
		m.Buffers = p.Buffers
		m.Tables = memory.MemtableCount*p.Memtable + p.BlockCache
		used := m.Cache + m.Tables + m.Filters + m.Connections + codeBytes + p.Buffers
		if p.Cache >= m.Cache && float64(used) <= inUse*float64(total) {
			m.Total = total
			m.Machine = megabytes(float64(total) / memory.DefaultShare)
			return m
		}
	}
}

// leastTotal is where the search for a total begins.
func leastTotal(m *Memory) int64 {
	return max(memory.MinTotal, megabytes(float64(m.Cache+m.Filters+m.Connections)/inUse))
}

func diskOf(l *Load, total int64) Disk {
	live := float64(l.Sessions) * (float64(l.ValueBytes)*l.Compressed + float64(l.KeyBytes) + recordBytes)
	d := Disk{
		Live:    int64(live),
		Expired: int64(live * expiredShare(l.TTL)),
		Old:     int64(live * rewrittenShare(l)),
		Logs:    logCount * memory.NewPlan(memory.Wishes{Limit: unlimited, Total: total, Cache: memory.Unset}).Memtable,
		Ballast: ballastBytes,
		Reserve: 256 * mebibyte,
	}
	d.Sum = d.Live + d.Expired + d.Old + d.Logs + d.Ballast + d.Reserve
	d.Volume = max(d.Sum, volumeFactor*d.Live+volumeBase)
	return d
}

// expiredShare is how much there is of expired sessions at most, as a share of
// the live ones, where each lives for ttl after its last use: those that expire
// while a bucket lasts.
func expiredShare(ttlOf time.Duration) float64 {
	if ttlOf == 0 {
		return 0 // they never expire
	}
	life := session.Time(ttlOf / time.Millisecond)
	width, ok := ttl.Width(life)
	if !ok {
		return 0
	}
	return float64(width) / float64(max(life, 1))
}

// rewrittenShare is how much there is of old copies: as much as of live ones if
// every session is stored again before it expires.
func rewrittenShare(l *Load) float64 {
	if l.TTL == 0 {
		if l.Rate > 0 {
			return 1
		}
		return 0
	}
	return min(1, l.Rate*l.TTL.Seconds()/float64(l.Sessions))
}

// megabytes rounds up to whole ones.
func megabytes(bytes float64) int64 { return int64(math.Ceil(bytes/mebibyte)) * mebibyte }
