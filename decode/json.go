package decode

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// decodeJSON passes JSON on without its white space. Numbers and words do not
// count: any text might be one.
func decodeJSON(data []byte, _ Hints) (any, error) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || bytes.IndexByte([]byte(`{["`), trimmed[0]) < 0 {
		return nil, errNotThis
	}
	return decodeJSONValue(trimmed)
}

// decodeJSONValue passes any JSON on.
func decodeJSONValue(data []byte) (any, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errNotThis
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, err
	}
	if compact.Len() > MaxOutput {
		return nil, errTooLarge
	}
	return json.RawMessage(compact.Bytes()), nil
}
