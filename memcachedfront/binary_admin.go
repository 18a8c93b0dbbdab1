package memcachedfront

import (
	"cairn/memcachedfront/protocol"
)

func (c *conn) answerBinaryStats(dst []byte, h protocol.BinaryHeader, a *answer) []byte {
	return protocol.AppendBinary(dst, h, nil, "")
}

func (c *conn) answerBinaryConfig(dst []byte, h protocol.BinaryHeader, a *answer) []byte {
	return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
}
