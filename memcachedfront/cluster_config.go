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
	args := arguments(r)
	if c.server.clusterConfig == "" || len(args) != 2 || args[0] != "get" || args[1] != "cluster" {
		c.refuse(r, b, protocol.UnknownCommand)
		return
	}
	c.say(r, b, c.server.clusterConfig)
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

// clusterNodes returns the body of ElastiCache's cluster configuration: its
// version and one "name|address|port" per node. See "Adding Auto Discovery to
// Your Client Library" in Amazon's ElastiCache guide.
func clusterNodes(nodes []string) string {
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
	return "1\n" + strings.Join(fields, " ") + "\n"
}

// clusterConfig returns the whole answer to "config get cluster" in text, or ""
// if there are no nodes.
func clusterConfig(nodes []string) string {
	body := clusterNodes(nodes)
	if body == "" {
		return ""
	}
	return fmt.Sprintf("CONFIG cluster 0 %d\r\n%s\r\nEND\r\n", len(body), body)
}
