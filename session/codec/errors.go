package codec

import (
	"errors"
	"strings"

	"cairn/session"
)

// errorCodes are the errors that keep their identity: code i+1 is element i. A
// level knows the first so many of them. Code 0 is any other error.
var errorCodes = [...]error{
	session.ErrClosed,
	session.ErrNoSpace,
	session.ErrCorrupt,
	session.ErrBadCommand,
	session.ErrUnavailable,
	session.ErrUnknownOutcome,
	session.ErrNeedsLog,
}

// maxErrorText bounds the text of an error that is sent along, in bytes.
const maxErrorText = 512

// remoteError is an error that came as bytes: it reads as it did where it
// arose, and wraps what its code stands for, if it has one.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

// encodeError returns the code and the text of an error. The text is empty if the
// code says it all.
func encodeError(err error, known int) (code int, text string) {
	for i, e := range errorCodes[:known] {
		if err == e {
			return i + 1, ""
		}
		if errors.Is(err, e) {
			return i + 1, clip(err.Error())
		}
	}
	return 0, clip(err.Error())
}

// clip bounds a text and keeps it a valid string. It is never empty: an empty
// text stands for none.
func clip(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
	if text == "" {
		return "unknown error"
	}
	return text
}

// decodeError is the reverse of encodeError; nil: nothing encodes to these.
func decodeError(code int, text []byte) error {
	if len(text) > maxErrorText {
		return nil
	}
	switch {
	case code == 0 && len(text) == 0:
		return nil
	case code == 0:
		return &remoteError{text: string(text)}
	case len(text) == 0:
		return errorCodes[code-1]
	}
	return &remoteError{text: string(text), is: errorCodes[code-1]}
}
