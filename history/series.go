package history

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
)

// series are samples of one distance, oldest first, and their file.
type series struct {
	name       string
	step, keep time.Duration

	before moment // of the last sample
	times  []int64
	values []float32 // of a sample after the other, by column

	file  file
	saved int // how many of the samples are in the file
}

// most is how many samples are kept. Between most and a quarter more are in
// memory and on disk.
func (s *series) most() int { return int(s.keep / s.step) }

// sample adds one of what has happened since the one before.
func (s *series) sample(now moment) {
	over := interval{before: s.before, now: now}
	s.before = now
	if over.before.samples != nil && over.seconds() <= 0 {
		return
	}
	row := make([]float32, len(columns))
	for i := range columns {
		row[i] = float32(columns[i].of(&over))
		if math.IsInf(float64(row[i]), 0) {
			row[i] = float32(math.NaN())
		}
	}
	s.add(now.time.UnixMilli(), row)
}

func (s *series) add(at int64, row []float32) {
	if n := len(s.times); n > 0 && at <= s.times[n-1] {
		return
	}
	s.times = append(s.times, at)
	s.values = append(s.values, row...)
	if excess := len(s.times) - s.most(); excess > s.most()/4 {
		s.times = slices.Delete(s.times, 0, excess)
		s.values = slices.Delete(s.values, 0, excess*len(columns))
		s.file.outdated()
	}
}

func (s *series) row(i int) []float32 { return s.values[i*len(columns) : (i+1)*len(columns)] }

// dropAfter removes samples that are later than a time.
func (s *series) dropAfter(now time.Time) {
	n := len(s.times)
	for n > 0 && s.times[n-1] > now.UnixMilli() {
		n--
	}
	if n < len(s.times) {
		s.times, s.values = s.times[:n], s.values[:n*len(columns)]
		s.file.outdated()
	}
}

// open replaces what is in memory by what is in the file, up to now.
func (s *series) open(dir string, now time.Time, setAside func(string, error) error) error {
	s.times, s.values, s.saved = nil, nil, 0
	frames, err := s.file.open(path(dir, s.name), setAside)
	if err != nil || len(frames) == 0 {
		return err
	}
	names := strings.Split(string(frames[0]), "\n")
	places := make([]int, len(columns)) // of a column in the file's samples; -1: it has none
	for i := range columns {
		places[i] = slices.Index(names, columns[i].Name)
	}
	if string(frames[0]) != header() {
		s.file.outdated()
	}
	oldest := now.Add(-s.keep).UnixMilli()
	for _, frame := range frames[1:] {
		if len(frame) != 8+4*len(names) {
			continue
		}
		at := int64(binary.LittleEndian.Uint64(frame))
		if at < oldest {
			continue
		}
		row := make([]float32, len(columns))
		for i, place := range places {
			row[i] = float32(math.NaN())
			if place >= 0 {
				row[i] = math.Float32frombits(binary.LittleEndian.Uint32(frame[8+4*place:]))
			}
		}
		s.add(at, row)
	}
	if len(frames) > s.most()*5/4 {
		s.file.outdated()
	}
	s.saved = len(s.times)
	s.dropAfter(now)
	return nil
}

// header is the first frame of a file of samples: the names of the columns.
func header() string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	return strings.Join(names, "\n")
}

// save adds to the file what it does not have, or writes it anew.
func (s *series) save(dir string) error {
	if s.file.isOutdated() {
		s.saved = 0
	}
	frames := make([][]byte, 0, len(s.times)-s.saved)
	for i := s.saved; i < len(s.times); i++ {
		frames = append(frames, s.frame(i))
	}
	err := s.file.save(path(dir, s.name), []byte(header()), frames)
	if err == nil {
		s.saved = len(s.times)
	}
	return err
}

func (s *series) frame(i int) []byte {
	frame := binary.LittleEndian.AppendUint64(nil, uint64(s.times[i]))
	for _, v := range s.row(i) {
		frame = binary.LittleEndian.AppendUint32(frame, math.Float32bits(v))
	}
	return frame
}
