package httpapi

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// Errors of text that Go's decoder would change without a word: each byte or
// escape that is no character becomes U+FFFD. A key would be another one, and a
// prefix would match other sessions.
var (
	errNotUTF8 = errors.New("the JSON is not UTF-8: write such bytes as base64, in the member whose name ends in _base64")
	errLone    = errors.New(`the JSON has half of a surrogate pair (\ud800 to \udfff) by itself: write such bytes as base64, in the member whose name ends in _base64`)
)

// strictJSON is the format of bodies in both directions. It reads only text that
// it need not change.
var strictJSON = huma.Format{
	Marshal:   huma.DefaultJSONFormat.Marshal,
	Unmarshal: unmarshalJSON,
}

// unmarshalJSON is json.Unmarshal for text that is all characters.
func unmarshalJSON(data []byte, v any) error {
	if err := checkText(data); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// checkText reports bytes and escapes of a JSON text that are no characters. Of
// what is no JSON it reports nothing.
func checkText(data []byte) error {
	if !utf8.Valid(data) {
		return errNotUTF8
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		switch unit := escaped(data[i:]); {
		case isLow(unit):
			return errLone
		case isHigh(unit) && !isLow(escaped(data[i+6:])):
			return errLone
		case isHigh(unit):
			i += 11
		default:
			i++ // what is escaped escapes nothing
		}
	}
	return nil
}

// escaped returns the number in a \uXXXX that data begins with; 0: there is none.
func escaped(data []byte) uint64 {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return unit
}

func isHigh(unit uint64) bool { return 0xD800 <= unit && unit <= 0xDBFF }
func isLow(unit uint64) bool  { return 0xDC00 <= unit && unit <= 0xDFFF }
