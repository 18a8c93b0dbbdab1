package httpapi

import (
	"encoding/base64"
	"errors"

	"cairn/session"
)

// cursorVersion is the first byte of a decoded cursor; the last key that a page
// looked at follows.
const cursorVersion = 1

func encodeCursor(last []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{cursorVersion}, last...))
}

// decodeCursor returns the key to go on after; nil for the empty cursor.
func decodeCursor(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || b[0] != cursorVersion || !session.ValidKey(b[1:]) {
		return nil, errors.New("cursor is not one of this server's")
	}
	return b[1:], nil
}
