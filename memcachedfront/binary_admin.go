package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

func (c *conn) answerBinaryVersion(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	return protocol.AppendBinary(dst, h, nil, c.server.options.Version)
}

// answerBinaryStats appends one answer per statistic of a group, and an empty
// one at the end.
func (c *conn) answerBinaryStats(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	group := string(a.args)
	switch group {
	case "reset":
		c.server.resetStats()
	case "detail on", "detail off":
		c.server.prefixes.on.Store(group == "detail on")
	case "detail dump":
		dump := append(c.server.prefixes.append(nil), protocol.End...)
		dst = protocol.AppendBinary(dst, h, []byte("detailed"), string(dump))
	default:
		stats, known := statGroups[group]
		if !known {
			return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
		}
		stats(c.server, func(name, value string) { dst = protocol.AppendBinary(dst, h, []byte(name), value) })
	}
	return protocol.AppendBinary(dst, h, nil, "")
}

// answerBinaryConfig answers ElastiCache's discovery. Its answer is that of a
// get; the only configuration is that of the cluster.
func (c *conn) answerBinaryConfig(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	nodes := clusterNodes(c.server.options.Nodes)
	switch {
	case nodes == "":
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusUnknownCommand)
	case string(a.args) != "cluster":
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
	}
	return protocol.AppendBinaryItem(dst, h, &session.Item{Value: []byte(nodes)}, false, true)
}
