package owner

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"cairn/decode/fastlz"
)

// The flags with which php-memcached marks compression; before a compressed value it
// writes the original length, 4 bytes, lowest first.
const (
	phpCompressed = 0x10
	phpZlib       = 0x20
	phpFastLZ     = 0x40
	phpZstd       = 0x80
)

// maxLayers is how many wrappings are removed.
const maxLayers = 3

// inflaters decompress, each into memory of its own that is used again.
type inflaters struct {
	source bytes.Reader
	zlib   io.ReadCloser
	gzip   *gzip.Reader
	out    [2][]byte // in turn
	more   [1]byte
}

// unwrap removes compression and reports whether there was any; data is valid until
// it is called again. Of what is longer than MaxInput it returns the beginning, but of
// zstd nothing.
func (f *inflaters) unwrap(value []byte, flags uint32) (data []byte, unwrapped bool) {
	data = value
	layers := 0
	if inner, ok := f.php(value, flags); ok {
		data = inner
		layers++
	}
	for ; layers < maxLayers; layers++ {
		inner, ok := f.one(data, layers%2)
		if !ok {
			break
		}
		data = inner
	}
	return data, layers > 0
}

// php removes php-memcached's compression.
func (f *inflaters) php(value []byte, flags uint32) (data []byte, ok bool) {
	if flags&phpCompressed == 0 || len(value) < 4 {
		return nil, false
	}
	size, packed := binary.LittleEndian.Uint32(value), value[4:]
	switch {
	case flags&phpFastLZ != 0:
		data, ok = f.fastLZ(packed)
	case flags&phpZlib != 0:
		data, ok = f.inflateZlib(packed, 0)
	case flags&phpZstd != 0:
		data, ok = f.inflateZstd(packed, 0)
	}
	return data, ok && len(data) == int(min(size, MaxInput))
}

// one removes a compression that its first bytes give away.
func (f *inflaters) one(data []byte, turn int) ([]byte, bool) {
	if len(data) < 7 {
		return nil, false
	}
	switch {
	case data[0] == 0x1f && data[1] == 0x8b && data[2] == 8:
		return f.inflateGzip(data, turn)
	case data[0] == 0x28 && data[1] == 0xb5 && data[2] == 0x2f && data[3] == 0xfd:
		return f.inflateZstd(data, turn)
	case data[0] == 0x78 && binary.BigEndian.Uint16(data)%31 == 0:
		return f.inflateZlib(data, turn)
	}
	return nil, false
}

// room returns empty memory for MaxInput bytes.
func (f *inflaters) room(turn int) []byte {
	if f.out[turn] == nil {
		f.out[turn] = make([]byte, 0, MaxInput)
	}
	return f.out[turn]
}

func (f *inflaters) fastLZ(packed []byte) ([]byte, bool) {
	out, err := fastlz.Append(f.room(0), packed)
	return out, err == nil || errors.Is(err, fastlz.ErrFull)
}

func (f *inflaters) inflateZlib(packed []byte, turn int) ([]byte, bool) {
	f.source.Reset(packed)
	var err error
	if f.zlib == nil {
		f.zlib, err = zlib.NewReader(&f.source)
	} else {
		err = f.zlib.(zlib.Resetter).Reset(&f.source, nil)
	}
	if err != nil {
		return nil, false
	}
	return f.read(f.zlib, turn)
}

func (f *inflaters) inflateGzip(packed []byte, turn int) ([]byte, bool) {
	f.source.Reset(packed)
	var err error
	if f.gzip == nil {
		f.gzip, err = gzip.NewReader(&f.source)
	} else {
		err = f.gzip.Reset(&f.source)
	}
	if err != nil {
		return nil, false
	}
	f.gzip.Multistream(false)
	return f.read(f.gzip, turn)
}

// read reads to the end, or as much as is looked at.
func (f *inflaters) read(r io.Reader, turn int) ([]byte, bool) {
	out := f.room(turn)[:MaxInput]
	n, err := io.ReadFull(r, out)
	return out[:n], err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && f.whole(r)
}

// whole reports whether r ended because there was no more, not in the midst of it.
func (f *inflaters) whole(r io.Reader) bool {
	_, err := r.Read(f.more[:])
	return errors.Is(err, io.EOF)
}

// zstdDecoder never allocates the data itself: it writes into what it is given.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxInput), zstd.WithDecoderMaxWindow(MaxInput))
})

func (f *inflaters) inflateZstd(packed []byte, turn int) ([]byte, bool) {
	decoder, err := zstdDecoder()
	if err != nil {
		return nil, false
	}
	out, err := decoder.DecodeAll(packed, f.room(turn))
	return out, err == nil
}
