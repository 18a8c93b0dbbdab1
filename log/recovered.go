package log

import (
	"errors"
	"io"
	"math"

	"cairn/durable"
)

// recovered is a segment that Open reads.
type recovered struct {
	*segment
	low   Position // the highest that the segment tells
	limit Position // of what counts: the next segment begins behind it

	// torn says why there is no record after the last one; nil if the limit was
	// reached.
	torn *DamageError

	// sure is the offset up to which the segment was durable as it says itself.
	sure   int64
	unsure []byte // what follows it, up to end
}

// readHeader reads the segment's header. A segment without one has never been
// begun, or its file had begun to be another segment, or, if there are frames of
// it, it may be damaged; torn is set then.
func (r *recovered) readHeader() (begun bool, err error) {
	r.limit = math.MaxUint64 - 1
	b, err := r.readAll(headerSize)
	if err != nil {
		return false, err
	}
	h, ok, err := decodeHeader(b)
	if err != nil {
		return false, &FormatError{r.path(), err.Error()}
	}
	if ok && h.id != r.id {
		return false, &FormatError{r.path(), "it belongs to another log"}
	}
	if ok && h.number == r.number && h.first > 0 {
		r.segmentHeader, r.low = h, h.low
		return true, nil
	}
	if b, err = r.readAll(math.MaxInt64); err != nil {
		return false, err
	}
	if at := findMark(b, min(headerSize, len(b)), r.incarnation(), 0); at >= 0 {
		r.torn = &DamageError{r.path(), 0, 0, "its header cannot be read, though it has records"}
	}
	return false, nil
}

// readAll reads up to limit bytes of the file.
func (r *recovered) readAll(limit int64) (b []byte, err error) {
	f, err := r.dir.fs.Open(r.path())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b = make([]byte, min(limit, info.Size()))
	n, err := io.ReadFull(f, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], err
}

// read finds the segment's records up to the limit. If it is the last one of the
// log, what follows must not prove that more had been durable.
func (r *recovered) read(newest bool) error {
	b, err := r.readAll(math.MaxInt64)
	if err != nil {
		return err
	}
	at, p := headerSize, r.first
	durable := r.first - 1
	ends := []point{{r.first - 1, headerSize}} // of what the latest mark does not call durable
	r.end = headerSize
	latest := int64(0)
	for p <= r.limit {
		f, ok := parseFrame(b[min(at, len(b)):], r.incarnation())
		if !ok || f.position != p {
			break
		}
		if f.kind == kindMark {
			m := parseMark(f.payload(b[at:]))
			durable, r.low = max(durable, m.durable), max(r.low, m.low)
		} else {
			if off := int64(at); latest == 0 || off-latest >= pointEvery {
				r.points, latest = append(r.points, point{p, off}), off
			}
			p++
		}
		at += f.size
		r.end = int64(at)
		for len(ends) > 1 && ends[1].position <= durable {
			ends = ends[1:]
		}
		ends = append(ends, point{p - 1, r.end})
	}
	r.last = p - 1
	if p > r.limit {
		return nil
	}
	r.torn = &DamageError{r.path(), int64(at), p, "it cannot be read, though it had been written"}
	if newest && findMark(b, min(at, len(b)), r.incarnation(), p) >= 0 {
		return r.torn
	}
	if newest {
		r.torn = nil
		r.sure = ends[0].offset
		r.unsure = append([]byte(nil), b[r.sure:r.end]...)
	}
	return nil
}

// rewrite writes what is not sure again, and makes it durable.
func (r *recovered) rewrite() error {
	f, err := r.dir.fs.OpenReadWrite(r.path(), writeCategory)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if len(r.unsure) > 0 {
		if _, err := f.WriteAt(r.unsure, r.sure); err != nil {
			return err
		}
	}
	if err := f.SyncData(); err != nil {
		return &durable.SyncError{Err: err}
	}
	r.unsure = nil
	return nil
}
