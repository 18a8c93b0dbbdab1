// Package migrate reads the sessions of other servers, so that Cairn can take
// them over with the time they have left.
package migrate

import (
	"errors"
	"time"
)

// Record is one session of another server. Its bytes are valid until the
// function it was given to returns.
type Record struct {
	Key   []byte
	Value []byte
	Flags uint32

	// Expires is when the session ends; the zero Time: never.
	Expires time.Time
}

// Summary counts what a server had besides the records.
type Summary struct {
	// Gone ended between being listed and being read.
	Gone int64

	// Unsuitable cannot be sessions here: keys longer than Cairn's, or values
	// that are not strings.
	Unsuitable int64
}

// timeout bounds each exchange with the other server.
const timeout = 30 * time.Second

// batch is how many sessions are asked for at once.
const batch = 128

var errProtocol = errors.New("the server's answer makes no sense")
