package decode

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"
)

// maxSignature is the longest signature, in bytes; the longest hash known takes
// 86.
const maxSignature = 128

// decodeDjangoSigned reads what django.core.signing.dumps writes, in which
// Django keeps signed sessions: a payload in base64url, the time it was
// signed, and a signature, which is not checked. Sessions of Django before
// 3.1, base64 of a hash and the payload, are read too.
func decodeDjangoSigned(b *budget, data []byte, h Hints) (any, error) {
	encoded, rest, found := bytes.Cut(data, []byte(":"))
	if !found {
		return djangoLegacy(b, data, h)
	}
	signed, signature, found := bytes.Cut(rest, []byte(":"))
	if !found || len(signature) < 27 || len(signature) > maxSignature {
		return nil, errNotThis
	}
	payload, err := djangoPayload(b, encoded)
	if err != nil {
		return nil, err
	}
	m := &meter{budget: b}
	o := newRecord(m)
	o.add("payload", payload)
	if seconds, ok := base62(signed); ok {
		o.add("signed", time.Unix(seconds, 0).UTC().Format(time.RFC3339))
	}
	o.add("signature", m.text(signature))
	return o, m.err
}

// djangoPayload decodes base64url of JSON; a dot in front says that it is
// compressed.
func djangoPayload(b *budget, encoded []byte) (any, error) {
	encoded, compressed := bytes.CutPrefix(encoded, []byte("."))
	data, err := decodeBase64(b, base64.RawURLEncoding, encoded)
	if err != nil {
		return nil, err
	}
	if compressed {
		if data, err = inflateZlib(b, data); err != nil {
			return nil, err
		}
	}
	return decodeJSONValue(b, data)
}

func decodeBase64(b *budget, encoding *base64.Encoding, encoded []byte) ([]byte, error) {
	m := meter{budget: b}
	m.spend(0, 2*len(encoded))
	data := m.bytes(encoding.DecodedLen(len(encoded)))
	if m.err != nil {
		return nil, m.err
	}
	n, err := encoding.Decode(data[:cap(data)], encoded)
	if err != nil {
		return nil, errNotThis
	}
	return data[:n], nil
}

// djangoLegacy decodes base64 of "<40 hexadecimal digits>:<payload>", the
// payload being JSON or a pickle.
func djangoLegacy(b *budget, data []byte, h Hints) (any, error) {
	decoded, err := decodeBase64(b, base64.StdEncoding, data)
	if err != nil {
		return nil, err
	}
	hash, payload, ok := bytes.Cut(decoded, []byte(":"))
	if !ok || len(hash) != 40 || len(bytes.Trim(hash, "0123456789abcdef")) != 0 {
		return nil, errNotThis
	}
	if v, err := decodeJSONValue(b, payload); err == nil {
		return v, nil
	}
	return decodePickle(b, payload, h)
}

// base62 reads a number in the digits that Django's signing uses.
func base62(s []byte) (n int64, ok bool) {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := range len(s) {
		digit := strings.IndexByte(digits, s[i])
		if digit < 0 || len(s) > 8 {
			return 0, false
		}
		n = n*62 + int64(digit)
	}
	return n, len(s) > 0
}
