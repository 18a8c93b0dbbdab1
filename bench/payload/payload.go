// Package payload generates web sessions to benchmark with: what PHP, Node and
// Java applications store for a visitor, with realistic sizes and entropy. The
// same seed always gives the same bytes.
package payload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Bounds in bytes of a generated session, and the median of their log-normal
// sizes. Below guestSize the visitor has not logged in.
const (
	MinSize    = 300
	MaxSize    = 8 << 10
	medianSize = 1400
	sizeSpread = 0.75
	guestSize  = 900
)

// Format is how an application serializes its sessions.
type Format string

const (
	PHP    Format = "php"    // PHP's session serializer, as Symfony fills it
	JSON   Format = "json"   // a Node or Python session
	Java   Format = "java"   // Java object serialization
	Opaque Format = "opaque" // base64 of one fixed size, hardly compressible
	Random Format = "random" // random bytes of one fixed size, not compressible at all
)

// Mix is what a pool holds unless it is told otherwise.
var Mix = []Format{PHP, JSON, Java}

// Options choose what a pool holds.
type Options struct {
	Formats []Format // in equal parts; default Mix
	Size    int      // bytes of an Opaque or Random session; default 1024
	Count   int      // distinct sessions; default 16384
	Seed    uint64
}

// ParseFormats reads "mix", one format or several joined by commas;
// "opaque:SIZE" and "random:SIZE" also set the size in bytes.
func ParseFormats(s string) (Options, error) {
	var o Options
	for _, text := range strings.Split(s, ",") {
		name, size, sized := strings.Cut(text, ":")
		switch f := Format(name); {
		case text == "mix":
			o.Formats = append(o.Formats, Mix...)
			continue
		case f == Opaque || f == Random:
		case sized || f != PHP && f != JSON && f != Java:
			return o, fmt.Errorf("payload: unknown format %q: want mix, php, json, java, opaque[:SIZE] or random[:SIZE]", text)
		}
		o.Formats = append(o.Formats, Format(name))
		if !sized {
			continue
		}
		var err error
		if o.Size, err = strconv.Atoi(size); err != nil || o.Size < stampLen || o.Size > 1<<20 {
			return o, fmt.Errorf("payload: %q: want %s:SIZE with %d to %d bytes", text, name, stampLen, 1<<20)
		}
	}
	return o, nil
}

// Pool holds generated sessions. It is read-only and safe for concurrent use.
type Pool struct {
	sessions []template
	bytes    int
}

// A template is a session with room for a stamp at an offset.
type template struct {
	bytes []byte
	stamp int
}

// NewPool generates the sessions that o describes.
func NewPool(o Options) *Pool {
	if len(o.Formats) == 0 {
		o.Formats = Mix
	}
	if o.Size == 0 {
		o.Size = 1024
	}
	if o.Count == 0 {
		o.Count = 16384
	}
	p := &Pool{sessions: make([]template, o.Count)}
	for i := range p.sessions {
		rng := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		p.sessions[i] = generate(o.Formats[i%len(o.Formats)], o.Size, rng)
		p.bytes += len(p.sessions[i].bytes)
	}
	return p
}

func generate(f Format, size int, rng *rand.Rand) template {
	switch f {
	case Opaque:
		return template{bytes: []byte(token(rng, size)[:size])}
	case Random:
		return template{bytes: randomBytes(rng, size)}
	}
	encode := map[Format]func(*visit) template{PHP: encodePHP, JSON: encodeJSON, Java: encodeJava}[f]
	want := sessionSize(rng)
	v := newVisit(rng, want < guestSize)
	for {
		t := encode(v)
		missing := want - len(t.bytes)
		if missing < smallestEntry && len(t.bytes) >= MinSize {
			return t
		}
		v.grow(rng, max(missing, 1))
	}
}

// sessionSize draws a size in bytes.
func sessionSize(rng *rand.Rand) int {
	for {
		size := int(medianSize * math.Exp(sizeSpread*rng.NormFloat64()))
		if MinSize <= size && size <= MaxSize {
			return size
		}
	}
}

// MeanSize returns the mean size of a session in bytes.
func (p *Pool) MeanSize() float64 { return float64(p.bytes) / float64(len(p.sessions)) }

// Size returns the bytes of the session with that number. A session keeps its
// size through all its revisions.
func (p *Pool) Size(number uint64) int { return len(p.session(number).bytes) }

// Append appends the session with that number at that revision to dst.
func (p *Pool) Append(dst []byte, number uint64, revision uint32) []byte {
	t := p.session(number)
	start := len(dst) + t.stamp
	dst = append(dst, t.bytes...)
	putStamp(dst[start:], number, revision)
	return dst
}

// Revision tells which revision of the session with that number value is; ok
// is false if it is not that session, whole and at its right length.
func (p *Pool) Revision(value []byte, number uint64) (revision uint32, ok bool) {
	t := p.session(number)
	if len(value) != len(t.bytes) {
		return 0, false
	}
	found, revision, ok := readStamp(value[t.stamp:])
	return revision, ok && found == number&maxNumber
}

func (p *Pool) session(number uint64) *template {
	return &p.sessions[mix(number)%uint64(len(p.sessions))]
}
