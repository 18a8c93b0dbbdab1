package memcachedfront

import (
	"fmt"
	"net"
	"strings"
)

// clusterNodes gives the body of ElastiCache's cluster configuration: its
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

// clusterConfig gives the whole answer to "config get cluster" in text, or ""
// if there are no nodes.
func clusterConfig(nodes []string) string {
	body := clusterNodes(nodes)
	if body == "" {
		return ""
	}
	return fmt.Sprintf("CONFIG cluster 0 %d\r\n%s\r\nEND\r\n", len(body), body)
}
