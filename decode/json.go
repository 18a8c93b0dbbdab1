package decode

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// decodeJSON passes JSON on without its white space. Scalars count as JSON
// only if they are not plain words or numbers that any text might be.
func decodeJSON(data []byte, _ Hints) (any, error) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || bytes.IndexByte([]byte(`{["`), trimmed[0]) < 0 || !utf8.Valid(trimmed) || !json.Valid(trimmed) {
		return nil, errNotThis
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, trimmed); err != nil {
		return nil, err
	}
	if compact.Len() > MaxOutput {
		return nil, errTooLarge
	}
	return json.RawMessage(compact.Bytes()), nil
}
