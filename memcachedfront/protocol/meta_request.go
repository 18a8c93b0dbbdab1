package protocol

import "encoding/base64"

const (
	// maxMetaTokens is the largest number of tokens in the line of a meta
	// command.
	maxMetaTokens = 20

	// maxMetaSplit is how many tokens memcached splits the line into.
	maxMetaSplit = 23

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
	metaLongOpaque                       // O, and it is too long
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
		parseAdministrative(nil, args, r)
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

// parseMetaFlags reads r.Args, which stand behind the given number of tokens,
// and refuses r if they are wrong.
func parseMetaFlags(tokens int, limits *Limits, r *Request) {
	r.Delta = 1
	tokens, ok := countMetaFlags(tokens, r.Args)
	if !ok {
		r.refuseMeta(BadFormat)
		return
	}
	fault := scanMetaFlags(tokens, limits, r)
	if fault != NoFault && r.Verb == MetaArithmetic {
		fault = InvalidOrDuplicateFlag // as memcached words it here
	}
	if fault == NoFault {
		fault = checkMetaMode(r)
	}
	if fault == NoFault && r.Meta.Has(metaLongOpaque) {
		fault = OpaqueTooLong
	}
	if fault != NoFault {
		r.refuseMeta(fault)
	}
}

// countMetaFlags adds the flags to the tokens that stand before them, up to
// maxMetaSplit. It reports whether each of these begins with what a flag may begin
// with; memcached finds no tokens at all in the line otherwise.
func countMetaFlags(tokens int, args []byte) (_ int, ok bool) {
	for flag, rest := nextToken(args); flag != nil && tokens < maxMetaSplit; flag, rest = nextToken(rest) {
		c := flag[0]
		if (c < 'A' || c > 'z') && (c < '0' || c > '9') {
			return tokens, false
		}
		tokens++
	}
	return tokens, true
}

// scanMetaFlags reads the flags. Of several faults it reports the last, unless
// one is so bad that it ends the search, and never that of F if there is another,
// as in memcached.
func scanMetaFlags(tokens int, limits *Limits, r *Request) (fault Fault) {
	if len(r.Key) > limits.MaxKeyLen {
		return BadFormat
	}
	if tokens > maxMetaTokens {
		return TooManyFlags
	}
	var seen [2]uint64 // bits for 7-bit letters
	for flag, rest := nextToken(r.Args); flag != nil; flag, rest = nextToken(rest) {
		letter := flag[0]
		if letter >= 127 || seen[letter/64]&(1<<(letter%64)) != 0 {
			return DuplicateFlag
		}
		seen[letter/64] |= 1 << (letter % 64)
		switch f := parseMetaFlag(letter, flag[1:], r); f {
		case NoFault:
		case InvalidFlag:
			return f
		case BadFormat:
			if fault == NoFault {
				fault = f
			}
		default:
			fault = f
		}
	}
	return fault
}

// parseMetaFlag reads one flag: its letter and the token attached to it.
func parseMetaFlag(letter byte, token []byte, r *Request) Fault {
	ok, fault := true, BadToken
	switch letter {
	case 'b':
		ok, fault = checkBase64(r.Key), BadKeyEncoding
		r.Base64Key = true
	case 'T':
		r.Exptime, ok = parseArgument(token, ParsePlainExptime)
		r.Meta |= MetaTTL
		if r.Meta.Has(MetaVivify) {
			r.VivifyExptime = r.Exptime // the later of the two flags counts
		}
	case 'N':
		r.VivifyExptime, ok = parseArgument(token, ParsePlainExptime)
		r.Meta |= MetaVivify
	case 'R':
		r.RecacheExptime, ok = parseArgument(token, ParsePlainExptime)
		r.Meta |= MetaRecache
	case 'C':
		r.CAS, ok = parseArgument(token, ParsePlainUint64)
		r.Meta |= MetaCompareCAS
	case 'E':
		r.NewCAS, ok = parseArgument(token, ParsePlainUint64)
		r.Meta |= MetaNewCAS
	case 'F':
		r.Flags, ok = parseArgument(token, ParsePlainUint32)
		fault = BadFormat
	case 'J':
		r.Initial, ok = parseArgument(token, ParsePlainUint64)
		fault = BadInitial
	case 'D':
		r.Delta, ok = parseArgument(token, ParsePlainUint64)
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
		if len(token) >= maxOpaque {
			r.Meta |= metaLongOpaque
		}
	case 'k', 't', 'c', 'f', 'l', 'h', 'P', 'L':
	default:
		return InvalidFlag
	}
	if ok {
		return NoFault
	}
	return fault
}

// parseArgument reads the number that is attached to a flag. There must be one.
func parseArgument[N any](token []byte, parse func([]byte) (N, bool)) (n N, ok bool) {
	if len(token) == 0 {
		return n, false
	}
	return parse(token)
}

// maxBase64Key is the length in bytes of what the longest key in base64 decodes
// to.
const maxBase64Key = (maxBase64Len + 3) / 4 * 3

const maxBase64Len = 255

// checkBase64 reports whether key is the base64 of something.
func checkBase64(key []byte) bool {
	var scratch [maxBase64Key]byte
	if len(key) > maxBase64Len {
		return false
	}
	n, err := base64.StdEncoding.Decode(scratch[:], key)
	return err == nil && n > 0
}

// decodeKey replaces r.Key, in place, by what it encodes in base64. It is done
// once, when the request is known to be complete.
func decodeKey(r *Request) {
	var scratch [maxBase64Key]byte
	n, _ := base64.StdEncoding.Decode(scratch[:], r.Key)
	r.Key = r.Key[:copy(r.Key, scratch[:n])]
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
