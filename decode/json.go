package decode

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// decodeJSON passes JSON on. Numbers and words do not
// count: any text might be one.
func decodeJSON(b *budget, data []byte, _ Hints) (any, error) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || bytes.IndexByte([]byte(`{["`), trimmed[0]) < 0 {
		return nil, errNotThis
	}
	return decodeJSONValue(b, trimmed)
}

// decodeJSONValue passes any JSON on.
func decodeJSONValue(b *budget, data []byte) (any, error) {
	if err := b.spend(0, parseSteps*len(data)); err != nil {
		return nil, err
	}
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errNotThis
	}
	return json.RawMessage(data), nil
}
