package auth

import "crypto/sha256"

// Ticket is what a client has that has logged in. It can be kept with the
// connection, also from one process to the next, and it is no secret of the
// user's that would let anyone log in. The zero Ticket belongs to nobody.
type Ticket struct {
	User string

	// Proof tells the line of the user file that the credentials matched. It is
	// nil in tickets of versions that did not know it: then the name counts.
	Proof []byte
}

const proofLen = 16 // bytes

func proofOf(name, password []byte) []byte {
	h := sha256.New()
	h.Write([]byte("cairn ticket\x00"))
	h.Write(name)
	h.Write([]byte{0})
	h.Write(password)
	return h.Sum(nil)[:proofLen]
}
