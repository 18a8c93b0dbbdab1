package protocol

import (
	"bytes"
	"math"
)

const (
	// minLine is the shortest line in bytes, with its end, that memcached looks
	// at: a command of two letters. It answers BadFormat to all shorter ones.
	minLine = 4

	// MaxLine is the number of bytes without a line end after which nothing
	// but a retrieval is accepted, as in memcached.
	MaxLine = 2048

	// MaxRetrievalLine is the longest line in bytes of a retrieval.
	MaxRetrievalLine = 1 << 20

	// maxLength is the largest announced value that is still a length: what
	// memcached's int holds, less the line end.
	maxLength = math.MaxInt32 - 2
)

// ParseText reads the request at the front of buf as the classic text or the
// meta protocol. It fills in r and returns the number of bytes the request
// takes. A request that is wrong is Invalid and consumed like any other; err
// is not nil only if there is none: ErrIncomplete or ErrHopeless.
//
// The slices of r alias buf. ParseText may decode a base64 key in place: the n
// bytes consumed no longer read as they were sent.
func ParseText(buf []byte, limits *Limits, r *Request) (n int, err error) {
	r.Reset()
	eol := bytes.IndexByte(buf, '\n')
	if eol < 0 {
		if isHopeless(buf) {
			return 0, ErrHopeless
		}
		return 0, ErrIncomplete
	}
	line := buf[:eol]
	if eol > 0 && line[eol-1] == '\r' {
		line = line[:eol-1]
	}
	n = eol + 1
	if n < minLine {
		r.refuse(BadFormat)
		return n, nil
	}
	length := parseLine(line, limits, r)
	if r.Fault == UnknownCommand && isHTTP(line) {
		return 0, ErrHopeless
	}
	switch {
	case r.Verb == Invalid && length >= 0:
		r.Swallow = length + 2
	case length >= 0:
		n, err = parseBlock(buf, n, length, r)
	}
	if r.Base64Key && r.Verb != Invalid && err == nil {
		decodeKey(r)
	}
	return n, err
}

// isHopeless reports whether buf, which has no line end, is longer than any
// line that begins like it may be.
func isHopeless(buf []byte) bool {
	if len(buf) <= MaxLine {
		return false
	}
	verb, _ := nextToken(buf[:MaxLine])
	switch string(verb) {
	case "get", "gets", "gat", "gats":
		return len(buf) > MaxRetrievalLine
	}
	return true
}

// isHTTP reports whether line is the first of an HTTP request. memcached closes
// the connection then, so that a browser cannot be tricked into sending it
// commands as the body.
func isHTTP(line []byte) bool {
	last := lastToken(line)
	return bytes.HasPrefix(last, []byte("HTTP/")) && len(last) < len(bytes.Trim(line, " "))
}

// parseBlock takes the data block of length bytes that stands at buf[start:].
func parseBlock(buf []byte, start, length int, r *Request) (n int, err error) {
	end := start + length + 2
	r.Need = end
	if len(buf) < end {
		return 0, ErrIncomplete
	}
	r.Value = buf[start : end-2 : end-2]
	if buf[end-2] != '\r' || buf[end-1] != '\n' {
		r.Quiet = r.Quiet && r.Verb != MetaSet
		r.refuse(BadChunk)
	}
	return end, nil
}

// parseLine reads a command line. length is that of the data block which
// follows, or -1 if none does.
func parseLine(line []byte, limits *Limits, r *Request) (length int) {
	verb, args := nextToken(line)
	if line[0] == ' ' {
		// memcached finds only its administrative commands behind spaces.
		parseAdministrative(verb, args, r)
		return -1
	}
	if len(verb) == 2 && verb[0] == 'm' {
		return parseMetaLine(verb[1], args, limits, r)
	}
	switch string(verb) {
	case "version":
		parseArguments(Version, args, r)
	case "quit":
		parseArguments(Quit, args, r)
	case "stats":
		parseArguments(Stats, args, r)
	case "watch":
		parseArguments(Watch, args, r)
	case "get":
		parseRetrieval(Get, args, limits, r)
	case "gets":
		parseRetrieval(Gets, args, limits, r)
	case "gat":
		parseTouchingRetrieval(Gat, args, limits, r)
	case "gats":
		parseTouchingRetrieval(Gats, args, limits, r)
	case "set":
		return parseStorage(Set, args, limits, r)
	case "add":
		return parseStorage(Add, args, limits, r)
	case "replace":
		return parseStorage(Replace, args, limits, r)
	case "append":
		return parseStorage(Append, args, limits, r)
	case "prepend":
		return parseStorage(Prepend, args, limits, r)
	case "cas":
		return parseStorage(CAS, args, limits, r)
	case "delete":
		parseKeyed(Delete, args, limits, r)
	case "touch":
		parseTouch(args, limits, r)
	case "incr":
		parseArithmetic(Incr, args, limits, r)
	case "decr":
		parseArithmetic(Decr, args, limits, r)
	default:
		parseAdministrative(verb, args, r)
	}
	return -1
}

// parseArguments reads: <verb> <argument>*
func parseArguments(verb Verb, args []byte, r *Request) {
	r.Verb = verb
	r.Args = args
}

// parseAdministrative reads: <verb> <argument>* [noreply]. An unknown command may
// want no reply, too.
func parseAdministrative(verb, args []byte, r *Request) {
	r.Verb = administrativeVerb(verb)
	r.Args = args
	r.Quiet = saysNoreply(lastToken(args))
	if r.Verb == Invalid {
		r.Fault = UnknownCommand
	}
}

func administrativeVerb(verb []byte) Verb {
	switch string(verb) {
	case "flush_all":
		return FlushAll
	case "verbosity":
		return Verbosity
	case "cache_memlimit":
		return CacheMemlimit
	case "shutdown":
		return Shutdown
	case "slabs":
		return Slabs
	case "lru":
		return LRU
	case "lru_crawler":
		return LRUCrawler
	case "config":
		return Config
	case "refresh_certs":
		return RefreshCerts
	case "extstore":
		return Extstore
	}
	return Invalid
}

// parseRetrieval reads: get|gets <key>*
func parseRetrieval(verb Verb, args []byte, limits *Limits, r *Request) {
	r.Verb = verb
	r.Key, r.Keys = nextToken(args)
	if len(r.Key) == 0 || len(r.Key) > limits.MaxKeyLen {
		r.refuse(BadFormat)
		return
	}
	for key, rest := nextToken(r.Keys); key != nil; key, rest = nextToken(rest) {
		if len(key) > limits.MaxKeyLen {
			r.refuse(BadFormat)
			return
		}
	}
}

// parseTouchingRetrieval reads: gat|gats <exptime> <key>*
func parseTouchingRetrieval(verb Verb, args []byte, limits *Limits, r *Request) {
	token, keys := nextToken(args)
	parseRetrieval(verb, keys, limits, r)
	if r.Verb == Invalid && len(r.Key) == 0 {
		return
	}
	var ok bool
	if r.Exptime, ok = ParsePlainExptime(token); !ok {
		r.refuse(BadExptime)
	}
}

// parseStorage reads the line of: set|add|replace|append|prepend <key> <flags>
// <exptime> <bytes> [noreply], and of: cas <key> <flags> <exptime> <bytes>
// <cas unique> [noreply]. It returns what parseLine does.
func parseStorage(verb Verb, args []byte, limits *Limits, r *Request) (length int) {
	var flags, exptime, size, unique []byte
	r.Verb = verb
	r.Key, args = nextToken(args)
	flags, args = nextToken(args)
	exptime, args = nextToken(args)
	size, args = nextToken(args)
	length, ok := parseLength(size)
	if !ok {
		r.refuse(BadFormat)
		return -1
	}
	if len(args) > 0 {
		r.Quiet = saysNoreply(lastToken(args))
	}
	casOK := true
	if verb == CAS {
		unique, _ = nextToken(args)
		r.CAS, casOK = ParsePlainUint64(unique)
		casOK = casOK && len(unique) > 0
	}
	var flagsOK, exptimeOK bool
	r.Flags, flagsOK = ParseFlags(flags)
	r.Exptime, exptimeOK = ParseExptime(exptime)
	switch {
	case len(r.Key) > limits.MaxKeyLen || !flagsOK || !exptimeOK || !casOK:
		r.refuse(BadFormat)
	case length > limits.MaxValueSize:
		r.refuse(TooLarge)
	}
	return length
}

// parseKeyed reads: <verb> <key> ... [noreply]
func parseKeyed(verb Verb, args []byte, limits *Limits, r *Request) (rest []byte) {
	r.Verb = verb
	r.Key, rest = nextToken(args)
	r.Quiet = saysNoreply(lastToken(rest))
	if len(r.Key) == 0 || len(r.Key) > limits.MaxKeyLen {
		r.refuse(BadFormat)
	}
	return rest
}

// parseTouch reads: touch <key> <exptime> [noreply]
func parseTouch(args []byte, limits *Limits, r *Request) {
	rest := parseKeyed(Touch, args, limits, r)
	token, _ := nextToken(rest)
	exptime, ok := ParsePlainExptime(token)
	switch {
	case token == nil:
		r.refuse(BadFormat)
	case !ok && r.Verb != Invalid:
		r.refuse(BadExptime)
	}
	r.Exptime = exptime
}

// parseArithmetic reads: incr|decr <key> <delta> [noreply]
func parseArithmetic(verb Verb, args []byte, limits *Limits, r *Request) {
	rest := parseKeyed(verb, args, limits, r)
	token, _ := nextToken(rest)
	delta, ok := ParsePlainUint64(token)
	switch {
	case token == nil:
		r.refuse(BadFormat)
	case !ok && r.Verb != Invalid:
		r.refuse(BadDelta)
	}
	r.Delta = delta
}

// ParseKeys reads the keys that are left of a retrieval's line, up to its end,
// into r.Keys. The other fields stay as they are.
func ParseKeys(buf []byte, r *Request) (n int, err error) {
	eol := bytes.IndexByte(buf, '\n')
	if eol < 0 {
		return 0, ErrIncomplete
	}
	r.Keys = bytes.TrimSuffix(buf[:eol], []byte{'\r'})
	return eol + 1, nil
}
