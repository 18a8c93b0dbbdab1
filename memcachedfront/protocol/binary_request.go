package protocol

// BinaryMagic is the first byte of every binary request; no text request
// begins with it.
const BinaryMagic = 0x80

// ParseBinary reads the request at the front of buf as the binary protocol. It
// has the contract of ParseText.
func ParseBinary(buf []byte, limits *Limits, r *Request) (n int, err error) {
	return 0, ErrHopeless
}
