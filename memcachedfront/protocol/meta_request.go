package protocol

import "encoding/base64"

const (
	// maxMetaTokens is the largest number of tokens in the line of a meta
	// command.
	maxMetaTokens = 20

	// maxOpaque is the longest flag O in bytes, its letter included.
	maxOpaque = 32
)

// MetaFlags is the set of those flags of a meta command that change what it
// does. Flags that only ask for something in the reply stay in Request.Args.
type MetaFlags uint16

// The members of MetaFlags, named after what they ask for; behind each its
// letter on the wire and the field of Request that holds its token.
const (
	MetaTTL        MetaFlags = 1 << iota // T: Exptime
	MetaVivify                           // N: VivifyExptime
	MetaRecache                          // R: RecacheExptime
	MetaCompareCAS                       // C: CAS
	MetaNewCAS                           // E: NewCAS
	MetaInvalidate                       // I
	MetaDropValue                        // x
	MetaValue                            // v
	MetaPeek                             // u
	MetaSize                             // s
)

// Has reports whether all flags of f are set.
func (m MetaFlags) Has(f MetaFlags) bool { return m&f == f }

// parseMetaLine reads the line of a meta command: m<letter> <key> [<bytes>]
// <flag>*. It returns what parseLine does.
func parseMetaLine(letter byte, args []byte, limits *Limits, r *Request) (length int) {
	switch letter {
	case 'g':
		parseMeta(MetaGet, args, limits, r)
	case 's':
		return parseMetaSet(args, limits, r)
	case 'd':
		parseMeta(MetaDelete, args, limits, r)
	case 'a':
		parseMeta(MetaArithmetic, args, limits, r)
	case 'e':
		parseMeta(MetaDebug, args, limits, r)
	case 'n':
		r.Verb = MetaNoop
	default:
		r.refuse(UnknownCommand)
	}
	return -1
}

// parseMeta reads: <key> <flag>*
func parseMeta(verb Verb, args []byte, limits *Limits, r *Request) {
	r.Verb = verb
	r.Key, r.Args = nextToken(args)
	if r.Key == nil {
		r.refuse(BadFormat)
		return
	}
	parseMetaFlags(2, limits, r)
}

// parseMetaSet reads: <key> <bytes> <flag>*
func parseMetaSet(args []byte, limits *Limits, r *Request) (length int) {
	var size []byte
	r.Verb = MetaSet
	r.Key, args = nextToken(args)
	size, r.Args = nextToken(args)
	length, ok := parseLength(size)
	if !ok {
		r.refuse(BadFormat)
		return -1
	}
	parseMetaFlags(3, limits, r)
	if r.Verb != Invalid && length > limits.MaxValueSize {
		r.refuseMeta(TooLarge)
	}
	return length
}

// refuseMeta makes r an Invalid request. A refused meta command is answered
// even when it asked for quiet.
func (r *Request) refuseMeta(f Fault) {
	r.refuse(f)
	r.Quiet = false
}

// parseMetaFlags reads r.Args, which stand behind the given number of tokens.
// Of several faults the last one is reported, unless one is so bad that it
// ends the search, as in memcached.
func parseMetaFlags(tokens int, limits *Limits, r *Request) {
	if len(r.Key) > limits.MaxKeyLen {
		r.refuseMeta(BadFormat)
		return
	}
	var seen [128 / 64]uint64
	var fault Fault
	r.Delta = 1
	for flag, rest := nextToken(r.Args); flag != nil; flag, rest = nextToken(rest) {
		if tokens++; tokens > maxMetaTokens {
			r.refuseMeta(TooManyFlags)
			return
		}
		letter := flag[0]
		if letter >= 127 || seen[letter/64]&(1<<(letter%64)) != 0 {
			r.refuseMeta(DuplicateFlag)
			return
		}
		seen[letter/64] |= 1 << (letter % 64)
		f := parseMetaFlag(letter, flag[1:], r)
		if f == InvalidFlag {
			r.refuseMeta(InvalidFlag)
			return
		}
		if f != NoFault {
			fault = f
		}
	}
	if fault == NoFault {
		fault = checkMetaMode(r)
	}
	if fault != NoFault {
		r.refuseMeta(fault)
	}
}

// parseMetaFlag reads one flag: its letter and the token attached to it.
func parseMetaFlag(letter byte, token []byte, r *Request) Fault {
	ok, fault := true, BadToken
	switch letter {
	case 'b':
		ok, fault = decodeKey(r), BadKeyEncoding
	case 'T':
		r.Exptime, ok = parseInt64(token)
		r.Meta |= MetaTTL
	case 'N':
		r.VivifyExptime, ok = parseInt64(token)
		r.Meta |= MetaVivify
	case 'R':
		r.RecacheExptime, ok = parseInt64(token)
		r.Meta |= MetaRecache
	case 'C':
		r.CAS, ok = parseUint64(token)
		r.Meta |= MetaCompareCAS
	case 'E':
		r.NewCAS, ok = parseUint64(token)
		r.Meta |= MetaNewCAS
	case 'F':
		r.Flags, ok = parseUint32(token)
		fault = BadFormat
	case 'J':
		r.Initial, ok = parseUint64(token)
		fault = BadInitial
	case 'D':
		r.Delta, ok = parseUint64(token)
		fault = BadMetaDelta
	case 'M':
		r.Mode = ' '
		if len(token) > 0 {
			r.Mode = token[0]
		}
	case 'I':
		r.Meta |= MetaInvalidate
	case 'x':
		r.Meta |= MetaDropValue
	case 'v':
		r.Meta |= MetaValue
	case 'u':
		r.Meta |= MetaPeek
	case 's':
		r.Meta |= MetaSize
	case 'q':
		r.Quiet = true
	case 'O':
		ok, fault = len(token) < maxOpaque, OpaqueTooLong
	case 'k', 't', 'c', 'f', 'l', 'h', 'P', 'L':
	default:
		return InvalidFlag
	}
	if ok {
		return NoFault
	}
	return fault
}

// decodeKey replaces r.Key by what it encodes in base64.
func decodeKey(r *Request) bool {
	var scratch [256]byte
	if base64.StdEncoding.DecodedLen(len(r.Key)) > len(scratch) {
		return false
	}
	n, err := base64.StdEncoding.Decode(scratch[:], r.Key)
	if err != nil || n == 0 {
		return false
	}
	r.Key = r.Key[:copy(r.Key, scratch[:n])]
	r.Base64Key = true
	return true
}

// checkMetaMode checks the flag M, which is Mode 0 if absent.
func checkMetaMode(r *Request) Fault {
	switch r.Verb {
	case MetaSet:
		switch r.Mode {
		case 0, 'S', 'E', 'A', 'P', 'R':
		default:
			return BadMode
		}
	case MetaArithmetic:
		switch r.Mode {
		case 0, 'I', '+', 'D', '-':
		default:
			return BadArithmeticMode
		}
	}
	return NoFault
}
