package protocol

// MetaFlags are the flags of a meta command that change what it does. The
// flags that only ask for something in the reply stay in Request.Args.
type MetaFlags struct {
	Mode byte // flag M; 0 if absent

	Set MetaSetFlags // which of the flags below were sent

	TTL     int64 // T, as sent; see Expiry
	Vivify  int64 // N, as sent; see Expiry
	Recache int64 // R, in seconds

	NewCAS  uint64 // E
	Initial uint64 // J
}

// MetaSetFlags is a set of meta flags.
type MetaSetFlags uint16

// The members of MetaSetFlags, named after what they ask for; behind each the
// letter on the wire.
const (
	MetaTTL        MetaSetFlags = 1 << iota // T
	MetaVivify                              // N
	MetaRecache                             // R
	MetaCompareCAS                          // C, its token in Request.CAS
	MetaNewCAS                              // E
	MetaInvalidate                          // I
	MetaDropValue                           // x
	MetaValue                               // v
	MetaPeek                                // u
)

// Has reports whether flag was sent.
func (m *MetaFlags) Has(flag MetaSetFlags) bool { return m.Set&flag != 0 }

// parseMetaLine reads the line of a meta command: m<letter> <key> [<bytes>]
// <flag>*. It returns what parseLine does.
func parseMetaLine(letter byte, args []byte, limits *Limits, r *Request) (length int) {
	if letter == 'n' {
		r.Verb = MetaNoop
	} else {
		r.refuse(UnknownCommand)
	}
	return -1
}
