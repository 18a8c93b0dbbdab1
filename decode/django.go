package decode

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// decodeDjangoSigned reads what django.core.signing.dumps writes, in which
// Django keeps signed sessions: a payload in base64url, the time it was
// signed, and a signature, which is not checked. Sessions of Django before
// 3.1, base64 of a hash and the payload, are read too.
func decodeDjangoSigned(data []byte, h Hints) (any, error) {
	parts := strings.Split(string(data), ":")
	if len(parts) == 1 {
		return djangoLegacy(data, h)
	}
	if len(parts) != 3 || len(parts[2]) < 27 {
		return nil, errNotThis
	}
	payload, err := djangoPayload(parts[0])
	if err != nil {
		return nil, err
	}
	o := &object{}
	o.add("payload", payload)
	if signed, ok := base62(parts[1]); ok {
		o.add("signed", time.Unix(signed, 0).UTC().Format(time.RFC3339))
	}
	o.add("signature", parts[2])
	return o, nil
}

// djangoPayload decodes base64url of JSON; a dot in front says that it is
// compressed.
func djangoPayload(encoded string) (any, error) {
	encoded, compressed := strings.CutPrefix(encoded, ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errNotThis
	}
	if compressed {
		if data, err = inflateZlib(data); err != nil {
			return nil, err
		}
	}
	if !json.Valid(data) {
		return nil, errNotThis
	}
	return decodeJSONValue(data)
}

// djangoLegacy decodes base64 of "<40 hexadecimal digits>:<payload>", the
// payload being JSON or a pickle.
func djangoLegacy(data []byte, h Hints) (any, error) {
	decoded, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return nil, errNotThis
	}
	hash, payload, ok := bytes.Cut(decoded, []byte(":"))
	if !ok || len(hash) != 40 || len(bytes.Trim(hash, "0123456789abcdef")) != 0 {
		return nil, errNotThis
	}
	if v, err := decodeJSONValue(payload); err == nil {
		return v, nil
	}
	return decodePickle(payload, h)
}

// base62 reads a number in the digits that Django's signing uses.
func base62(s string) (n int64, ok bool) {
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
