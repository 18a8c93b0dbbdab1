package history

import (
	"math"
	"strconv"
	"time"
)

// Query asks for a part of the history.
type Query struct {
	From   time.Time // zero: an hour before To
	To     time.Time // zero: now
	Points int       // at most so many; at least 1
}

// Answer is what was asked for.
type Answer struct {
	From, To time.Time

	Step   time.Duration // from one point to the next, at least
	Points []Point       // oldest first; none for times in which nothing was sampled
	Events []Event       // oldest first
}

// Point joins the samples of one step.
type Point struct {
	At     time.Time // of its last sample
	Values []float64 // of Figures; NaN: not known
}

// Query returns samples of ten seconds as long as these are kept, otherwise of a
// minute, joined to as few points as are asked for.
func (r *Recorder) Query(q Query) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if q.To.IsZero() {
		q.To = now
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-time.Hour)
	}
	s := &r.fine
	if q.From.Before(now.Add(-fineKeep)) {
		s = &r.coarse
	}
	step := s.step
	if span := q.To.Sub(q.From); span > step*time.Duration(q.Points) {
		step = ceil(ceil(span, time.Duration(q.Points))/time.Duration(q.Points), s.step)
	}
	a := Answer{From: q.From, To: q.To, Step: step, Events: r.events.between(q.From, q.To)}
	var open *joined
	for i, at := range s.times {
		t := time.UnixMilli(at)
		if !t.After(q.From) || t.After(q.To) {
			continue
		}
		slot := (t.Sub(q.From) - 1) / step // a sample is of the time before it
		if open == nil || open.slot != slot {
			if open != nil {
				a.Points = append(a.Points, open.point())
			}
			open = newJoined(slot)
		}
		open.add(t, s.row(i))
	}
	if open != nil {
		a.Points = append(a.Points, open.point())
	}
	return a
}

// ceil is the least multiple of unit that is at least d.
func ceil(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

// joined gathers the samples of one point.
type joined struct {
	slot   time.Duration
	last   time.Time
	values []float64
	known  []int
}

func newJoined(slot time.Duration) *joined {
	return &joined{slot: slot, values: make([]float64, len(columns)), known: make([]int, len(columns))}
}

func (j *joined) add(at time.Time, row []float32) {
	j.last = at
	for i, v := range row {
		switch {
		case math.IsNaN(float64(v)):
			continue
		case columns[i].Max:
			j.values[i] = max(j.values[i], float64(v))
		default:
			j.values[i] += float64(v)
		}
		j.known[i]++
	}
}

func (j *joined) point() Point {
	for i, n := range j.known {
		switch {
		case n == 0:
			j.values[i] = math.NaN()
		case !columns[i].Max:
			j.values[i] /= float64(n)
		}
		j.values[i] = decimal(j.values[i])
	}
	return Point{At: j.last, Values: j.values}
}

// decimal is a number of 32 bits without the digits that it does not have.
func decimal(v float64) float64 {
	if math.IsNaN(v) {
		return v
	}
	d, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', -1, 32), 64)
	return d
}
