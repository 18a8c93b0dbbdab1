package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
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
func unwrap(b *budget, value []byte, h Hints) (data []byte, layers []string) {
	data, layers = value, []string{}
	if inner, name, err := unwrapPHP(b, value, h.Flags); err == nil {
		data, layers = inner, append(layers, name)
	}
	for len(layers) < maxLayers {
		inner, name, err := unwrapOne(b, data)
		if err != nil {
			break
		}
		data, layers = inner, append(layers, name)
	}
	return data, layers
}

// unwrapPHP removes php-memcached's compression.
func unwrapPHP(b *budget, value []byte, flags uint32) (data []byte, name string, err error) {
	if flags&phpCompressed == 0 || len(value) < 4 {
		return nil, "", errNoLayer
	}
	size, packed := int(binary.LittleEndian.Uint32(value)), value[4:]
	switch {
	case size > MaxInput:
		return nil, "", errTooLarge
	case flags&phpFastLZ != 0:
		data, err = inflateFastLZ(b, packed, size)
		name = "fastlz"
	case flags&phpZlib != 0:
		data, err = inflateZlib(b, packed)
		name = "zlib"
	case flags&phpZstd != 0:
		data, err = inflateZstd(b, packed)
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
func unwrapOne(b *budget, data []byte) (inner []byte, name string, err error) {
	switch {
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b, 8}):
		inner, err = inflateGzip(b, data)
		return inner, "gzip", err
	case bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		inner, err = inflateZstd(b, data)
		return inner, "zstd", err
	case len(data) > 6 && data[0] == 0x78 && binary.BigEndian.Uint16(data)%31 == 0:
		inner, err = inflateZlib(b, data)
		return inner, "zlib", err
	}
	return nil, "", errNoLayer
}
