package httpapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"cairn/session"
)

// keyEncoding says how a request writes a key or a prefix. A key is any bytes;
// percent-encoding carries all of them, except that clients fold the path
// segments "." and ".." whatever way they are written, routing takes "/" for
// the end of the path, and browsers cannot percent-encode what is not UTF-8.
// base64url serves those.
type keyEncoding string

const base64URLKey keyEncoding = "base64url"

// decodeKey reads a key as the request wrote it.
func decodeKey(s string, enc keyEncoding) ([]byte, error) {
	key := []byte(s)
	if enc == base64URLKey {
		var err error
		if key, err = decodeBase64(s); err != nil {
			return nil, fmt.Errorf("key is not base64url: %w", err)
		}
	}
	if !session.ValidKey(key) {
		return nil, fmt.Errorf("key must have 1 to %d bytes, not %d", session.MaxKeyLen, len(key))
	}
	return key, nil
}

// decodePrefix reads a key prefix; an empty one matches every key and is nil.
func decodePrefix(s string, enc keyEncoding) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return decodeKey(s, enc)
}

// chooseBytes returns the bytes of a JSON pair such as key and key_base64.
func chooseBytes(text, encoded string) ([]byte, error) {
	if encoded == "" {
		return []byte(text), nil
	}
	return decodeBase64(encoded)
}

// decodeBase64 accepts both alphabets of RFC 4648 with or without padding.
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	s = strings.NewReplacer("+", "-", "/", "_").Replace(s)
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, errors.New("invalid base64")
	}
	return b, nil
}

// keyText returns the readable form of a key and, if that loses bytes, the exact
// form in base64url.
func keyText(key []byte) (text, encoded string) {
	if utf8.Valid(key) {
		return string(key), ""
	}
	return strings.ToValidUTF8(string(key), "\uFFFD"), base64.RawURLEncoding.EncodeToString(key)
}
