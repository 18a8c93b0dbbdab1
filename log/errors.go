package log

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is the error of what is asked of a closed log.
	ErrClosed = errors.New("log: closed")

	// ErrTruncated is the error of a read below First.
	ErrTruncated = errors.New("log: the record has been truncated")

	// ErrNotAppended is the error of a read or sync of a position from Next on.
	ErrNotAppended = errors.New("log: no record has this position yet")

	// ErrTooLarge is the error of an append of more than MaxRecord bytes.
	ErrTooLarge = fmt.Errorf("log: a record has at most %d bytes", MaxRecord)
)

// DamageError tells of a record that was written whole and cannot be read any
// more. Nothing was changed.
type DamageError struct {
	Path     string   // of the file, or of the directory if a file is missing
	Offset   int64    // where in the file; 0 if a file is missing
	Position Position // of the first record that is not there
	Reason   string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("log: damaged: %s, at byte %d, record %d: %s", e.Path, e.Offset, e.Position, e.Reason)
}

// FormatError tells of a file that a newer version of the program has written, or
// that belongs to another log.
type FormatError struct {
	Path   string
	Reason string
}

func (e *FormatError) Error() string { return fmt.Sprintf("log: %s: %s", e.Path, e.Reason) }
