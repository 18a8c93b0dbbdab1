package freeport

import (
	"io"
	"net"
	"strconv"
)

// claimPort tells other processes of this network namespace that port is about to be
// used: by a socket without a file, which ends with the process.
func claimPort(port int) (io.Closer, error) {
	return net.Listen("unix", "@cairn-freeport-"+strconv.Itoa(port))
}
