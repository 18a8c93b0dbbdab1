package protocol

import "bytes"

// nextToken splits the first token off line. Tokens are separated by spaces;
// every other byte belongs to one. token is nil when line has none left.
func nextToken(line []byte) (token, rest []byte) {
	for len(line) > 0 && line[0] == ' ' {
		line = line[1:]
	}
	if len(line) == 0 {
		return nil, nil
	}
	if end := bytes.IndexByte(line, ' '); end >= 0 {
		return line[:end], line[end+1:]
	}
	return line, nil
}

// lastToken returns the last token of line, or nil.
func lastToken(line []byte) []byte {
	line = bytes.TrimRight(line, " ")
	if len(line) == 0 {
		return nil
	}
	return line[bytes.LastIndexByte(line, ' ')+1:]
}

func saysNoreply(token []byte) bool { return string(token) == "noreply" }

// IsTextKey reports whether key can stand in a line of the text protocol.
func IsTextKey(key []byte) bool {
	for _, c := range key {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(key) > 0
}
