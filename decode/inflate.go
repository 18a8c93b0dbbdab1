package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// What decompressors allocate for themselves, in bytes.
const (
	deflateBytes = 64 << 10
	zstdBytes    = 256 << 10
)

// inflater takes what one decompressor needs from the budget.
type inflater struct {
	meter
}

// begin pays for a decompressor that takes memory bytes itself and for reading
// packed.
func (m *inflater) begin(packed []byte, memory int) error {
	if len(packed) > MaxInput {
		m.fail(errTooLarge)
	}
	m.spend(memory, inflateSteps*len(packed))
	return m.err
}

// inflateGzip decompresses one gzip member, which must be all of data.
func inflateGzip(b *budget, data []byte) ([]byte, error) {
	m := inflater{meter{budget: b}}
	if err := m.begin(data, deflateBytes); err != nil {
		return nil, err
	}
	source := bytes.NewReader(data)
	r, err := gzip.NewReader(source)
	if err != nil {
		return nil, err
	}
	r.Multistream(false)
	inner, err := m.readAll(r, gzipSize(data))
	if err == nil && source.Len() > 0 {
		err = errNoLayer
	}
	return inner, err
}

// gzipSize is how long the data will be, as its trailer says, or MaxInput if
// that is not to be believed.
func gzipSize(data []byte) int {
	if len(data) < 4 {
		return 0
	}
	size := binary.LittleEndian.Uint32(data[len(data)-4:])
	return int(min(size, MaxInput))
}

func inflateZlib(b *budget, data []byte) ([]byte, error) {
	m := inflater{meter{budget: b}}
	if err := m.begin(data, deflateBytes); err != nil {
		return nil, err
	}
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return m.readAll(r, 4*len(data))
}

// readAll reads to the end of what is size bytes long, at a guess. It fails
// beyond MaxInput bytes.
func (m *inflater) readAll(r io.Reader, size int) ([]byte, error) {
	data := m.bytes(min(size, MaxInput) + bytes.MinRead)
	for m.err == nil {
		data = reserve(&m.meter, data, bytes.MinRead)
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		m.spend(0, inflateSteps*n)
		switch {
		case errors.Is(err, io.EOF):
			return data, m.err
		case err != nil:
			return nil, err
		case len(data) > MaxInput:
			return nil, errTooLarge
		}
	}
	return nil, m.err
}

// zstdDecoder never allocates the data itself: it writes into what it is given.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxInput), zstd.WithDecoderMaxWindow(MaxInput))
})

func inflateZstd(b *budget, data []byte) ([]byte, error) {
	m := inflater{meter{budget: b}}
	var header zstd.Header
	if err := header.Decode(data); err != nil {
		return nil, err
	}
	size := uint64(MaxInput)
	if header.HasFCS {
		size = header.FrameContentSize
	}
	if size > MaxInput {
		return nil, errTooLarge
	}
	out := m.bytes(int(size))
	m.spend(0, inflateSteps*int(size))
	if err := m.begin(data, zstdBytes); err != nil {
		return nil, err
	}
	decoder, err := zstdDecoder()
	if err != nil {
		return nil, err
	}
	return decoder.DecodeAll(data, out)
}
