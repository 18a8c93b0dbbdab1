package owner

// format is how a value is written.
type format uint8

const (
	unknown format = iota
	formatJSON
	formatPHP          // any that PHP's sessions may have: the next five
	formatPHPSession   // session.serialize_handler=php
	formatPHPSerialize // php_serialize, and serialize()
	formatPHPBinary    // php_binary
	formatIgbinary
	formatMessagePack
	formatPickle
	formatMarshal
	formatJava
	formatMSM           // memcached-session-manager
	formatMSMAttributes // within that
)

var formatNames = map[string]format{
	"json":          formatJSON,
	"php":           formatPHP,
	"php_session":   formatPHPSession,
	"php_serialize": formatPHPSerialize,
	"php_binary":    formatPHPBinary,
	"igbinary":      formatIgbinary,
	"msgpack":       formatMessagePack,
	"pickle":        formatPickle,
	"marshal":       formatMarshal,
	"java":          formatJava,
	"msm":           formatMSM,
}

// in returns the format that data is in if that may be f, by its first bytes;
// unknown if it cannot.
func (f format) in(data []byte) format {
	if len(data) < 2 {
		return unknown
	}
	if f == formatPHP {
		switch {
		case isSerialized(data):
			return formatPHPSerialize
		case isIgbinary(data):
			return formatIgbinary
		case data[0] < ' ' || data[0] >= 0x80:
			return formatPHPBinary
		}
		return formatPHPSession
	}
	fits := true
	switch f {
	case formatPHPSerialize:
		fits = isSerialized(data)
	case formatIgbinary:
		fits = isIgbinary(data)
	case formatPickle:
		fits = isPickle(data)
	case formatMarshal:
		fits = data[0] == 4 && data[1] == 8
	case formatJava:
		fits = isJava(data)
	}
	if !fits {
		return unknown
	}
	return f
}

// recognise returns the format of text that stands inside another value.
func recognise(data []byte) format {
	if len(data) < 2 {
		return unknown
	}
	for _, f := range []format{formatJava, formatMarshal, formatIgbinary, formatPHPSerialize} {
		if f.in(data) == f {
			return f
		}
	}
	switch b := data[0]; {
	case b == opProto && isPickle(data):
		return formatPickle
	case b == '{' || b == '[' || b == '"':
		return formatJSON
	case b >= 0x80 && b <= 0x9f || b >= 0xdc && b <= 0xdf:
		return formatMessagePack
	}
	return formatPHPSession
}

// isSerialized reports whether data begins as PHP's serialize() begins a value.
func isSerialized(data []byte) bool {
	switch data[0] {
	case 'a', 'O', 's', 'i', 'C':
		return data[1] == ':'
	}
	return false
}

func isIgbinary(data []byte) bool {
	return len(data) > 4 && data[0] == 0 && data[1] == 0 && data[2] == 0 && (data[3] == 1 || data[3] == 2)
}

func isJava(data []byte) bool {
	return len(data) > 4 && data[0] == 0xac && data[1] == 0xed && data[2] == 0 && data[3] == 5
}

// isPickle reports whether data begins as a pickle does: of protocols 0 and 1 only
// containers can be told from text.
func isPickle(data []byte) bool {
	switch data[0] {
	case opProto:
		return data[1] >= 2 && data[1] <= 5 && data[len(data)-1] == '.'
	case '(', '}', ']':
		return data[len(data)-1] == '.'
	}
	return false
}
