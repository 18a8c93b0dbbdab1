package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// The flags with which php-memcached marks compression; before a compressed
// value it writes the original length, 4 bytes little-endian.
const (
	phpCompressed = 0x10
	phpZlib       = 0x20
	phpFastLZ     = 0x40
	phpZstd       = 0x80
)

// maxLayers is how many wrappings are removed.
const maxLayers = 3

var errNoLayer = errors.New("not compressed")

// unwrap removes compression and names it, outermost first. The data may
// alias value.
func unwrap(value []byte, h Hints) (data []byte, layers []string) {
	data, layers = value, []string{}
	if inner, name, err := unwrapPHP(value, h.Flags); err == nil {
		data, layers = inner, append(layers, name)
	}
	for len(layers) < maxLayers {
		inner, name, err := unwrapOne(data)
		if err != nil {
			break
		}
		data, layers = inner, append(layers, name)
	}
	return data, layers
}

// unwrapPHP removes php-memcached's compression.
func unwrapPHP(value []byte, flags uint32) (data []byte, name string, err error) {
	if flags&phpCompressed == 0 || len(value) < 4 {
		return nil, "", errNoLayer
	}
	size, packed := int(binary.LittleEndian.Uint32(value)), value[4:]
	switch {
	case size > MaxInput:
		return nil, "", errTooLarge
	case flags&phpFastLZ != 0:
		data, err = inflateFastLZ(packed, size)
		name = "fastlz"
	case flags&phpZlib != 0:
		data, err = inflateZlib(packed)
		name = "zlib"
	case flags&phpZstd != 0:
		data, err = inflateZstd(packed)
		name = "zstd"
	default:
		return nil, "", errNoLayer
	}
	if err == nil && len(data) != size {
		err = errNoLayer
	}
	return data, name + " (php-memcached)", err
}

// unwrapOne removes a compression that its first bytes give away.
func unwrapOne(data []byte) (inner []byte, name string, err error) {
	switch {
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b, 8}):
		inner, err = inflateGzip(data)
		return inner, "gzip", err
	case bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		inner, err = inflateZstd(data)
		return inner, "zstd", err
	case len(data) > 6 && data[0] == 0x78 && binary.BigEndian.Uint16(data)%31 == 0:
		inner, err = inflateZlib(data)
		return inner, "zlib", err
	}
	return nil, "", errNoLayer
}

func inflateGzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return readLimited(r)
}

func inflateZlib(data []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return readLimited(r)
}

func inflateZstd(data []byte) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(data),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxInput), zstd.WithDecoderMaxWindow(MaxInput))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readLimited(r)
}

// readLimited reads to the end, or fails beyond MaxInput bytes.
func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxInput+1))
	if err == nil && len(data) > MaxInput {
		err = errTooLarge
	}
	return data, err
}
