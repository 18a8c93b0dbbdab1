package log

import (
	"errors"

	"cairn/durable"
)

// writer writes one segment. What is to be written is put together in stage: the
// whole blocks from base on, of which all before end are in the file already.
//
// Only the flusher uses it; while flush runs, on whichever goroutine, nobody else
// does.
type writer struct {
	segmentHeader
	out   device
	stage []byte // aligned
	base  int64  // of stage in the file, a multiple of blockSize
	end   int64  // of what is durable
	point int64  // the offset of the last point
	used  bool   // so much that the next segment is to be prepared
}

const (
	// firstStage and keptStage are bytes: what a writer begins with, and above
	// which it does not keep its memory.
	firstStage = 64 << 10
	keptStage  = 4 << 20

	// partBytes is how much is made durable at a time, if no record is larger.
	partBytes = 4 << 20
)

func newWriter(out device, h segmentHeader) *writer {
	return &writer{segmentHeader: h, out: out, stage: alignedBlocks(firstStage)[:0], base: headerSize, end: headerSize}
}

// begin makes the header durable.
func (w *writer) begin() error {
	block := alignedBlocks(headerSize)
	w.encode(block)
	return w.put(block, 0)
}

func (w *writer) put(p []byte, off int64) error {
	if err := w.out.write(p, off); err != nil {
		return err
	}
	if err := w.out.sync(); err != nil {
		return &durable.SyncError{Err: err}
	}
	return nil
}

// room is how many bytes the segment can still take.
func (w *writer) room() int64 { return int64(w.size) - w.end }

// part is a row of records of a batch, put into stage.
type part struct {
	n      int // records
	end    int64
	points []point
}

// point is where the frame of a record is.
type point struct {
	position Position
	offset   int64
}

// pointEvery is how many bytes of a segment are between two points that are kept
// in memory. A read scans that much.
const pointEvery = 16 << 10

// load puts together the records of b from i on that go in one write, after a mark.
// There may be none if the next does not fit into the segment.
func (w *writer) load(b *batch, i int, m mark) part {
	w.stage = w.stage[:w.end-w.base]
	limit := min(w.room(), partBytes)
	p := part{}
	last := w.point
	need := int64(markSize)
	j := i
	for ; j < len(b.ends); j++ {
		size := frameHeader + int64(len(b.record(j)))
		if need+size > limit && (j > i || need+size > w.room()) {
			break
		}
		need += size
	}
	w.grow(int(need))
	next := b.first + Position(i)
	w.stage = appendMark(w.stage, w.incarnation(), next, m)
	for ; i+p.n < j; p.n++ {
		at := w.base + int64(len(w.stage))
		if last == 0 || at-last >= pointEvery {
			p.points, last = append(p.points, point{next + Position(p.n), at}), at
		}
		w.stage = appendFrame(w.stage, kindRecord, w.incarnation(), next+Position(p.n), b.record(i+p.n))
	}
	p.end = w.base + int64(len(w.stage))
	return p
}

// grow makes room for n more bytes and the zeros behind them.
func (w *writer) grow(n int) {
	total := blockUp(len(w.stage) + n)
	if cap(w.stage) < total {
		larger := alignedBlocks(max(total, blockUp(min(2*cap(w.stage), keptStage))))
		w.stage = larger[:copy(larger, w.stage)]
	}
}

// flush makes the part durable.
func (w *writer) flush(p part) error {
	used := len(w.stage)
	if w.out.direct() {
		whole := w.stage[:blockUp(used)]
		clear(whole[used:])
		return w.put(whole, w.base)
	}
	return w.put(w.stage[w.end-w.base:], w.end)
}

// advance goes on behind a part that is durable, keeping the block that it has
// begun.
func (w *writer) advance(p part) {
	w.end = p.end
	if len(p.points) > 0 {
		w.point = p.points[len(p.points)-1].offset
	}
	base := blockDown(p.end)
	tail := w.stage[base-w.base : p.end-w.base]
	kept := w.stage[:0]
	if cap(kept) > keptStage {
		kept = alignedBlocks(firstStage)[:0]
	}
	w.stage = kept[:copy(kept[:cap(kept)], tail)]
	w.base = base
}

// reopen replaces the device.
func (w *writer) reopen(open func() (device, error)) error {
	if err := w.out.close(); err != nil {
		return err
	}
	out, err := open()
	if err != nil {
		return errors.Join(err, errReopen)
	}
	w.out = out
	return nil
}

var errReopen = errors.New("the segment cannot be opened again")
