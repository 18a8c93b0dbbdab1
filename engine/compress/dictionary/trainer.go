package dictionary

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
)

const (
	// Size is the largest size of a dictionary's content in bytes: what S2 can
	// refer to. A larger one costs no more time than a smaller one.
	Size = 60 << 10

	// minSharers is how many samples must have a string in common for it to get
	// into a dictionary. A dictionary outlives the sessions it was built from,
	// so what only a few of them hold must not be in it.
	minSharers = 5

	maxKinds      = 8        // kinds that are sampled; later ones stay plain
	maxSample     = 8 << 10  // bytes of one sample
	minSample     = 64       // smaller values gain nothing
	samplesNeeded = 200      // before a kind is trained
	sampleBytes   = 64 << 10 // of samples before a kind is trained
	maxSamples    = 500      // kept for one kind
	sampleEvery   = 16       // values between two samples

	heldOut = 4 // one sample in so many tests the dictionary

	// A kind is trained anew when its frames have become this much larger, in
	// relation to their values, than they were in the last training.
	decayNumerator, decayDenominator = 5, 4

	// useless is the ratio of frames to values from which on a dictionary of an
	// earlier process is of no use, whatever it was good for then.
	useless = 7. / 8

	ratioWindow = 64 << 10 // bytes of samples between two looks at the ratio
)

// ErrTooFew is the error of training without samples that have enough in common.
var ErrTooFew = errors.New("dictionary: too few samples to train from")

// Trainer collects samples of the values that are stored and says when a kind
// of session should get a dictionary, or a new one. It is safe for concurrent
// use, and cheap for the values it does not sample.
type Trainer struct {
	seen atomic.Uint64

	mu    sync.Mutex
	kinds map[Kind]*samples
}

// samples is what the Trainer knows of one kind.
type samples struct {
	values [][]byte
	bytes  int
	next   int // the sample to replace when values is full

	in, out  int64   // bytes of values and frames in the present window
	baseline float64 // out/in of the samples held out in the last training
	trained  bool
	restored bool // trained by an earlier process
	due      bool
}

// NewTrainer returns a Trainer without samples.
func NewTrainer() *Trainer { return &Trainer{kinds: make(map[Kind]*samples)} }

// Observe tells the Trainer that value was stored as a frame of frameLen
// bytes. It keeps a copy of some values. It reports whether a kind is now due
// for training.
func (t *Trainer) Observe(kind Kind, value []byte, frameLen int) (due bool) {
	if len(value) < minSample || t.seen.Add(1)%sampleEvery != 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.kinds[kind]
	if s == nil {
		if len(t.kinds) == maxKinds {
			return false
		}
		s = new(samples)
		t.kinds[kind] = s
	}
	s.add(value)
	s.measure(len(value), frameLen)
	return s.due
}

// Trained tells the Trainer that kind has a dictionary already, as after a
// restart.
func (t *Trainer) Trained(kind Kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kinds[kind] == nil {
		t.kinds[kind] = new(samples)
	}
	t.kinds[kind].trained, t.kinds[kind].restored = true, true
}

// Forget lets go of all samples. has tells which kinds have a dictionary.
func (t *Trainer) Forget(has func(Kind) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for kind, s := range t.kinds {
		if has(kind) {
			*s = samples{trained: true, restored: true}
		} else {
			delete(t.kinds, kind)
		}
	}
}

// Train builds a dictionary with the given id for one kind that is due. It
// takes up to a second of one core and holds no lock meanwhile. If no kind is
// due, or the samples have nothing in common, it returns ErrTooFew.
func (t *Trainer) Train(id uint32) (Dictionary, error) {
	kind, values, ok := t.take()
	if !ok {
		return Dictionary{}, ErrTooFew
	}
	var test [][]byte
	for i := 0; i < len(values); i += heldOut - 1 { // the next one moves up
		test = append(test, values[i])
		values = append(values[:i], values[i+1:]...)
	}
	d := Dictionary{ID: id, Kind: kind, Raw: build(values)}
	if d.Raw == nil {
		return Dictionary{}, fmt.Errorf("%w: %d samples have nothing in common", ErrTooFew, len(values))
	}
	baseline := ratio(d.Raw, test)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kinds[kind].baseline = baseline
	return d, nil
}

// ratio is that of the frames of values to the values themselves.
func ratio(raw []byte, values [][]byte) float64 {
	coder := s2.NewDict(raw)
	var in, out int
	for _, value := range values {
		in, out = in+len(value), out+len(coder.Encode(nil, value))
	}
	return float64(out) / float64(in)
}

// take removes the samples of a kind that is due.
func (t *Trainer) take() (Kind, [][]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for kind, s := range t.kinds {
		if s.due {
			values := s.values
			*s = samples{trained: true}
			return kind, values, true
		}
	}
	return 0, nil, false
}

func (s *samples) add(value []byte) {
	sample := append([]byte(nil), value[:min(len(value), maxSample)]...)
	s.bytes += len(sample)
	if len(s.values) < maxSamples {
		s.values = append(s.values, sample)
		return
	}
	s.bytes -= len(s.values[s.next])
	s.values[s.next] = sample
	s.next = (s.next + 1) % maxSamples
}

// measure keeps the ratio of frames to values and decides whether the kind is
// due.
func (s *samples) measure(in, out int) {
	s.in += int64(in)
	s.out += int64(out)
	enough := len(s.values) >= samplesNeeded && s.bytes >= sampleBytes
	if !s.trained {
		s.due = enough
		return
	}
	if s.in < ratioWindow {
		return
	}
	ratio := float64(s.out) / float64(s.in)
	s.in, s.out = 0, 0
	if s.baseline == 0 {
		if s.restored && ratio > useless {
			s.due = enough // what is stored has changed since
			return
		}
		s.baseline = ratio
		return
	}
	s.due = enough && ratio*decayDenominator > s.baseline*decayNumerator
}

// build makes a dictionary in S2's format of what values have in common; nil if
// that is too little.
func build(values [][]byte) []byte {
	content := commonParts(values, minSharers, Size)
	if len(content) < s2.MinDictSize {
		return nil
	}
	return s2.MakeDict(content, nil).Bytes()
}
