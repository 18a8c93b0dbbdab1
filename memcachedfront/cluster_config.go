package memcachedfront

import (
	"fmt"
	"net"
	"strings"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// config is ElastiCache's discovery: config get cluster
func (c *conn) config(r *protocol.Request, b *session.Burst) {
	args, nodes := arguments(r), c.server.clusterNodes()
	if nodes == "" || len(args) != 2 || args[0] != "get" || args[1] != "cluster" {
		c.refuse(r, b, protocol.UnknownCommand)
		return
	}
	c.say(r, b, fmt.Sprintf("CONFIG cluster 0 %d\r\n%s\r\nEND\r\n", len(nodes), nodes))
}

// answerBinaryConfig answers ElastiCache's discovery. Its answer is that of a
// get; the only configuration is that of the cluster.
func (c *conn) answerBinaryConfig(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	nodes := c.server.clusterNodes()
	switch {
	case nodes == "":
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusUnknownCommand)
	case string(a.args) != "cluster":
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
	}
	return protocol.AppendBinaryItem(dst, h, &session.Item{Value: []byte(nodes)}, false, true)
}

// clusterNodes returns the body of ElastiCache's cluster configuration: its
// version and one "name|address|port" per node; "": there is none at present. See
// "Adding Auto Discovery to Your Client Library" in Amazon's ElastiCache guide.
func (s *Server) clusterNodes() string {
	nodes, version := s.options.Nodes, int64(1)
	if len(nodes) == 0 && s.options.LiveNodes != nil {
		nodes, version = s.options.LiveNodes()
	}
	if len(nodes) == 0 {
		return ""
	}
	fields := make([]string, len(nodes))
	for i, node := range nodes {
		host, port, err := net.SplitHostPort(node)
		if err != nil {
			host, port = node, "11211"
		}
		address := ""
		if net.ParseIP(host) != nil {
			address = host
		}
		fields[i] = host + "|" + address + "|" + port
	}
	return fmt.Sprintf("%d\n%s\n", version, strings.Join(fields, " "))
}
