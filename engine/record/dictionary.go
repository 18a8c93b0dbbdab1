package record

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"cairn/ttl"
)

var dictionaryPrefix = []byte("c/dictionary/")

// DictionaryStart and DictionaryEnd bound the keys of dictionaries:
// [DictionaryStart, DictionaryEnd).
var (
	DictionaryStart = dictionaryPrefix
	DictionaryEnd   = []byte("c/dictionary0")
)

// Dictionary is how a dictionary for values is stored. Layout of its value,
// little endian:
//
//	0 version, 1 byte     1 kind, 4 bytes
//	5 last bucket, 4 bytes     9 content
type Dictionary struct {
	ID   uint32 // in the key
	Kind uint32

	// Last is the highest bucket with a record that needs the dictionary. It
	// is 0 as long as new records use it.
	Last ttl.Bucket

	Raw []byte
}

const (
	dictionaryVersion   = 1
	dictionaryHeaderLen = 9
)

// DictionaryKey is the key of the dictionary id. Keys sort by id.
func DictionaryKey(id uint32) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(dictionaryPrefix), id)
}

// Append appends the stored value of d to dst.
func (d *Dictionary) Append(dst []byte) []byte {
	dst = append(dst, dictionaryVersion)
	dst = binary.LittleEndian.AppendUint32(dst, d.Kind)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(d.Last))
	return append(dst, d.Raw...)
}

// DecodeDictionary reads what is stored under key. Raw is a copy.
func DecodeDictionary(key, value []byte) (d Dictionary, err error) {
	id, ok := bytes.CutPrefix(key, dictionaryPrefix)
	if !ok || len(id) != 4 || len(value) < dictionaryHeaderLen || value[0] != dictionaryVersion {
		return Dictionary{}, fmt.Errorf("%w: dictionary %q", ErrCorrupt, key)
	}
	return Dictionary{
		ID:   binary.BigEndian.Uint32(id),
		Kind: binary.LittleEndian.Uint32(value[1:]),
		Last: ttl.Bucket(binary.LittleEndian.Uint32(value[5:])),
		Raw:  bytes.Clone(value[dictionaryHeaderLen:]),
	}, nil
}
