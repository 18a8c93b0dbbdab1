package migrate

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// A step of a script is what lines of requests begin with, and the answers to them,
// one after the other; the last is repeated. With an empty beginning it answers the
// first line of a connection, whatever it is, and then says no more.
type step struct {
	begins  string
	answers []string
}

// scripted returns the address of a server that goes by a script: a source that
// cannot be had here, or a broken one. It says ERROR to what is not in it.
func scripted(t *testing.T, script ...step) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go perform(nc, script)
		}
	}()
	return ln.Addr().String()
}

// perform serves one connection.
func perform(nc net.Conn, script []step) {
	defer nc.Close()
	said := make([]int, len(script)) // answers of each step
	for in := bufio.NewScanner(nc); in.Scan(); {
		i := lookUp(script, in.Text())
		if i < 0 {
			io.WriteString(nc, "ERROR\r\n")
			continue
		}
		answers := script[i].answers
		io.WriteString(nc, answers[min(said[i], len(answers)-1)])
		said[i]++
		if script[i].begins == "" {
			nc.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, nc)
		}
	}
}

// lookUp returns the index of the step that answers a request, or -1.
func lookUp(script []step, request string) int {
	for i := range script {
		if strings.HasPrefix(request, script[i].begins) {
			return i
		}
	}
	return -1
}
