package payload

import (
	"encoding/base64"
	"encoding/binary"
)

// A stamp is a token inside a session that names the session's number and
// revision, so that whoever reads the session back can tell whether it is the
// right one. It looks random, as tokens do.
const stampLen = 11

// Numbers and revisions in a stamp are cut to 40 and 24 bits.
const (
	maxNumber   = 1<<40 - 1
	maxRevision = 1<<24 - 1
)

// placeholder stands where the stamp goes until a session is written.
const placeholder = "-----------"

func putStamp(dst []byte, number uint64, revision uint32) {
	var plain [8]byte
	binary.LittleEndian.PutUint64(plain[:], mix(number<<24|uint64(revision&maxRevision)))
	base64.RawURLEncoding.Encode(dst[:stampLen], plain[:])
}

func readStamp(src []byte) (number uint64, revision uint32, ok bool) {
	var plain [8]byte
	if n, err := base64.RawURLEncoding.Decode(plain[:], src[:stampLen]); n != 8 || err != nil {
		return 0, 0, false
	}
	x := unmix(binary.LittleEndian.Uint64(plain[:]))
	return x >> 24, uint32(x & maxRevision), true
}

// mix is a bijection on 64 bits that scatters neighbours: the finalizer of
// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, 2014). unmix is its inverse.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func unmix(x uint64) uint64 {
	x = (x ^ x>>31 ^ x>>62) * 0x319642b2d24d8ec3
	x = (x ^ x>>27 ^ x>>54) * 0x96de1b173f119089
	return x ^ x>>30 ^ x>>60
}
