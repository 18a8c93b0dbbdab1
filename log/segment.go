package log

import (
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segment is a file of the log, as readers see it. Its records are first to last,
// all durable. points, last, end and size are guarded by Log.mu.
type segment struct {
	segmentHeader
	dir    *directory
	last   Position // below first: it has none
	end    int64    // of the last record's frame, bytes
	points []point  // ascending
	late   bool     // somebody may still be writing to the file, in vain

	// reading is held while the file is read; whoever releases the file takes it.
	reading sync.RWMutex
	gone    bool // guarded by reading

	opening sync.Mutex
	file    vfs.File // for reads; nil until it is needed; guarded by opening
}

func (s *segment) path() string { return s.dir.join(segmentName(s.number)) }

// open returns the file. s.reading is held.
func (s *segment) open() (vfs.File, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.gone {
		return nil, ErrTruncated
	}
	if s.file == nil {
		f, err := s.dir.fs.Open(s.path())
		if err != nil {
			return nil, err
		}
		s.file = f
	}
	return s.file, nil
}

// close ends reading for good.
func (s *segment) close() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.opening.Lock()
	defer s.opening.Unlock()
	s.gone = true
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}

// from returns the last point at or before p. There is one for each record that
// the segment has. Log.mu is held.
func (s *segment) from(p Position) point {
	i, found := slices.BinarySearchFunc(s.points, p, func(a point, p Position) int {
		switch {
		case a.position < p:
			return -1
		case a.position > p:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	return s.points[i]
}

// walker reads frames of a segment one after the other.
type walker struct {
	s    *segment
	file vfs.File
	buf  []byte // what is in the file at offset
	at   int64  // of the next frame
	off  int64  // of buf
}

// walkBytes is how much is read at a time.
const walkBytes = 32 << 10

// view returns n bytes at the walker's place, fewer at the end of the file. They
// are good until the next call.
func (w *walker) view(n int) ([]byte, error) {
	skip := w.at - w.off
	if skip >= 0 && skip+int64(n) <= int64(len(w.buf)) {
		return w.buf[skip:], nil
	}
	want := max(n, walkBytes)
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	w.off = w.at
	read, err := w.file.ReadAt(w.buf[:want], w.at)
	w.buf = w.buf[:read]
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return w.buf, nil
}

// next returns the next frame and its bytes, which are good until the next call.
// If whole is not set, only its header is read, for bytes that are skipped.
func (w *walker) next(whole func(frame) bool) (f frame, b []byte, err error) {
	b, err = w.view(frameHeader)
	if err != nil {
		return f, nil, err
	}
	f, ok := parseHeader(b, w.s.incarnation())
	if ok && whole(f) {
		if b, err = w.view(f.size); err != nil {
			return f, nil, err
		}
		f, ok = parseFrame(b, w.s.incarnation())
	}
	if !ok {
		return f, nil, &DamageError{w.s.path(), w.at, 0, "a record that was readable cannot be read any more"}
	}
	w.at += int64(f.size)
	return f, b, nil
}

// visit calls visit with the records from..to of the segment, from the point at
// on. What it is given is good until it returns.
func (s *segment) visit(at point, from, to Position, visit func(p Position, record []byte) error) error {
	s.reading.RLock()
	defer s.reading.RUnlock()
	file, err := s.open()
	if err != nil {
		return err
	}
	w := walker{s: s, file: file, at: at.offset}
	for p := at.position; p <= to; {
		f, b, err := w.next(func(f frame) bool { return f.kind == kindRecord && f.position >= from })
		var damage *DamageError
		if errors.As(err, &damage) {
			damage.Position = p
		}
		if err != nil {
			return err
		}
		if f.kind != kindRecord {
			continue
		}
		if f.position != p {
			return &DamageError{s.path(), w.at - int64(f.size), p, "another record is in its place"}
		}
		if p >= from {
			if err := visit(p, f.payload(b)); err != nil {
				return err
			}
		}
		p++
	}
	return nil
}
