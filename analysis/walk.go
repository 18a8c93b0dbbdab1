package analysis

import (
	"bytes"
	"context"
	"slices"
	"time"

	"cairn/session"
)

// runLength is how many neighbouring keys are looked at between two leaps.
const runLength = 128

// walk looks at one of factor keys that begin with prefix, in runs of neighbours.
//
// Ids are random, or count up: in either case keys are spread evenly nearby. So the
// distance to leap is what the run says of that, with keys taken as numbers whose digits
// are the bytes that occur in them. A leap does not lead past the end of what has the
// same text before the id, nor past a stop, so that no kind of key is passed over.
type walk struct {
	source Source
	prefix []byte
	stops  [][]byte // ascending
	rest   func(ctx context.Context, d time.Duration) error

	factor float64 // how many keys each one that is looked at stands for
	most   int     // keys to be looked at before factor is doubled

	// fn is called with each of them, valid during the call; false ends the walk.
	fn func(it *session.Item, weight float64) bool
}

func (w *walk) run(ctx context.Context) error {
	var after []byte
	for seen := 0; ; {
		begin := time.Now()
		var keys [][]byte
		going := true
		err := w.source.Scan(ctx, w.prefix, after, func(it *session.Item) bool {
			going = w.fn(it, w.factor)
			keys = append(keys, bytes.Clone(it.Key))
			return going && len(keys) < runLength
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !going || len(keys) < runLength {
			return err
		}
		if seen += len(keys); seen >= w.most && w.most > 0 {
			seen = 0
			w.factor *= 2
		}
		after = keys[len(keys)-1]
		if w.factor > 1 {
			after = w.stop(after, leap(keys, (w.factor-1)*float64(len(keys))))
		}
		if err := w.rest(ctx, time.Since(begin)); err != nil {
			return err
		}
	}
}

// stop returns the first stop between two keys, else the second of them. What comes
// after it includes the stop itself.
func (w *walk) stop(from, to []byte) []byte {
	i, _ := slices.BinarySearchFunc(w.stops, from, bytes.Compare)
	for ; i < len(w.stops) && bytes.Compare(w.stops[i], to) < 0; i++ {
		if !bytes.HasPrefix(from, w.stops[i]) && bytes.Compare(w.stops[i], from) > 0 {
			return before(w.stops[i])
		}
	}
	return to
}

// before returns a key that is less than key, with hardly any between them.
func before(key []byte) []byte {
	key = bytes.Clone(key)
	if key[len(key)-1] == 0 {
		return key[:len(key)-1]
	}
	key[len(key)-1]--
	for len(key) < session.MaxKeyLen {
		key = append(key, 0xff)
	}
	return key
}

// separators end the text that stands before an id.
const separators = ".:/|!#@="

// leapDigits is how many bytes a leap is counted in, and carried of them how many may
// be such that all keys of a run have in common. fewKeys is how many keys are too few to
// say how they are spread.
const (
	leapDigits = 10
	carried    = 4
	fewKeys    = 16
)

// leap returns a key about n keys behind the last of some that follow upon each other;
// the last one if it cannot tell.
func leap(keys [][]byte, n float64) []byte {
	last := keys[len(keys)-1]
	text := last[:bytes.LastIndexAny(last, separators)+1]
	for len(keys) > 0 && !bytes.HasPrefix(keys[0], text) {
		keys = keys[1:]
	}
	if len(keys) < fewKeys {
		return last
	}
	first := keys[0]
	base := max(len(text), commonPrefix(first, last)-carried)
	digits := alphabet(keys, base)
	at := digits.number(last[base:])
	step := (at - digits.number(first[base:])) / float64(len(keys)-1)
	to := at + step*n
	target := bytes.Clone(last[:base])
	if to >= 1 {
		for range leapDigits {
			target = append(target, 0xff)
		}
	} else {
		target = digits.write(target, to)
	}
	target = target[:min(len(target), session.MaxKeyLen)]
	if bytes.Compare(target, last) <= 0 {
		return last
	}
	return target
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// digitSet are the bytes that occur in ids, as digits.
type digitSet struct {
	bytes []byte
	rank  [256]float64 // how many of them are less
}

func alphabet(keys [][]byte, base int) *digitSet {
	var occurs [256]bool
	for _, key := range keys {
		for _, b := range key[base:min(len(key), base+leapDigits)] {
			occurs[b] = true
		}
	}
	d := &digitSet{}
	for b := range occurs {
		d.rank[b] = float64(len(d.bytes))
		if occurs[b] {
			d.bytes = append(d.bytes, byte(b))
		}
	}
	return d
}

// number reads an id as a fraction from 0 to 1.
func (d *digitSet) number(id []byte) (n float64) {
	unit := 1.0
	for _, b := range id[:min(len(id), leapDigits)] {
		unit /= float64(len(d.bytes))
		n += unit * d.rank[b]
	}
	return n
}

// write appends the id that is a fraction from 0 to 1.
func (d *digitSet) write(dst []byte, n float64) []byte {
	for range leapDigits {
		n *= float64(len(d.bytes))
		digit := min(int(n), len(d.bytes)-1)
		n -= float64(digit)
		dst = append(dst, d.bytes[digit])
	}
	return slices.Clip(dst)
}
