package protocol

// Fault is a reason for which a request is refused. The tables below are the
// only place that gives it a wire form.
type Fault uint8

const (
	// NoFault marks a good request.
	NoFault Fault = iota

	UnknownCommand
	BadFormat
	BadChunk
	BadExptime
	BadDelta
	BadToken
	BadKeyEncoding
	BadMode
	BadArithmeticMode
	BadInitial
	BadMetaDelta
	DuplicateFlag
	InvalidFlag
	InvalidOrDuplicateFlag
	TooManyFlags
	OpaqueTooLong
	NotNumeric
	TooLarge
	OutOfSpace
	StoreFailed
	Unauthenticated
	AuthFailed
	BadAuthToken
	BadAuthEnding
	FlushNotAllowed

	numFaults
)

// faultLines are the lines of the text and meta protocols, as memcached words
// them.
var faultLines = [numFaults]string{
	UnknownCommand:         "ERROR\r\n",
	BadFormat:              "CLIENT_ERROR bad command line format\r\n",
	BadChunk:               "CLIENT_ERROR bad data chunk\r\n",
	BadExptime:             "CLIENT_ERROR invalid exptime argument\r\n",
	BadDelta:               "CLIENT_ERROR invalid numeric delta argument\r\n",
	BadToken:               "CLIENT_ERROR bad token in command line format\r\n",
	BadKeyEncoding:         "CLIENT_ERROR error decoding key\r\n",
	BadMode:                "CLIENT_ERROR invalid mode for ms M token\r\n",
	BadArithmeticMode:      "CLIENT_ERROR invalid mode for ma M token\r\n",
	BadInitial:             "CLIENT_ERROR invalid numeric initial value\r\n",
	BadMetaDelta:           "CLIENT_ERROR invalid numeric delta value\r\n",
	DuplicateFlag:          "CLIENT_ERROR duplicate flag\r\n",
	InvalidFlag:            "CLIENT_ERROR invalid flag\r\n",
	InvalidOrDuplicateFlag: "CLIENT_ERROR invalid or duplicate flag\r\n",
	TooManyFlags:           "CLIENT_ERROR options flags are too long\r\n",
	OpaqueTooLong:          "CLIENT_ERROR opaque token too long\r\n",
	NotNumeric:             "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
	TooLarge:               "SERVER_ERROR object too large for cache\r\n",
	OutOfSpace:             "SERVER_ERROR out of memory storing object\r\n",
	StoreFailed:            "SERVER_ERROR storage failure\r\n",
	Unauthenticated:        "CLIENT_ERROR unauthenticated\r\n",
	AuthFailed:             "CLIENT_ERROR authentication failure\r\n",
	BadAuthToken:           "CLIENT_ERROR bad authentication token format\r\n",
	BadAuthEnding:          "CLIENT_ERROR bad command line termination\r\n",
	FlushNotAllowed:        "CLIENT_ERROR flush_all not allowed\r\n",
}

// Line returns the fault's line in the text and meta protocols, with its line
// end.
func (f Fault) Line() string { return faultLines[f] }

// FaultOf is the fault with the given line, StoreFailed if there is none.
func FaultOf(line string) Fault {
	for f := NoFault + 1; f < numFaults; f++ {
		if faultLines[f] == line {
			return f
		}
	}
	return StoreFailed
}
