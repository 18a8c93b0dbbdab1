// Package dnstest is a DNS server for tests.
package dnstest

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// Server answers on loopback, over UDP, until the test ends.
type Server struct {
	conn net.PacketConn

	mu    sync.Mutex
	names map[string][]record // by what they are, in lower case, without the dot at the end
	asked map[string]int      // how often, by name
}

type record struct {
	kind uint16
	data []byte
}

// Numbers of the protocol, RFC 1035, 2782 and 3596.
const (
	kindA      = 1
	kindAAAA   = 28
	kindSRV    = 33
	headerSize = 12
	noSuchName = 3 // NXDOMAIN
)

// New starts a server that knows no names.
func New(t testing.TB) *Server {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{conn: conn, names: map[string][]record{}, asked: map[string]int{}}
	var serving sync.WaitGroup
	serving.Go(s.serve)
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return s
}

// Resolver asks the server, and nobody else.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// Addresses replaces what a name has by addresses, of IPv4 or IPv6. Without any there is no
// such name.
func (s *Server) Addresses(name string, addresses ...string) {
	var records []record
	for _, text := range addresses {
		ip := netip.MustParseAddr(text)
		kind := uint16(kindA)
		if ip.Is6() {
			kind = kindAAAA
		}
		records = append(records, record{kind, ip.AsSlice()})
	}
	s.set(name, records)
}

// SRV replaces what a name has by SRV records, each as in a zone file: "priority weight port
// target". Without any there is no such name.
func (s *Server) SRV(name string, texts ...string) {
	var records []record
	for _, text := range texts {
		var priority, weight, port uint16
		var target string
		if _, err := fmt.Sscan(text, &priority, &weight, &port, &target); err != nil {
			panic(err)
		}
		data := binary.BigEndian.AppendUint16(nil, priority)
		data = binary.BigEndian.AppendUint16(data, weight)
		data = binary.BigEndian.AppendUint16(data, port)
		records = append(records, record{kindSRV, appendName(data, target)})
	}
	s.set(name, records)
}

// Records are SRV records of a target for each of some addresses, of which only the port
// counts.
func Records(target string, addresses ...string) (texts []string) {
	for _, address := range addresses {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			panic(err)
		}
		texts = append(texts, fmt.Sprint("0 0 ", port, " ", target))
	}
	return texts
}

// Asked is how many questions about a name the server has got.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func (s *Server) set(name string, records []record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names, name)
	if len(records) > 0 {
		s.names[name] = records
	}
}

func (s *Server) serve() {
	question := make([]byte, 1<<16)
	for {
		n, from, err := s.conn.ReadFrom(question)
		if err != nil {
			return // it is closed
		}
		if answer := s.answer(question[:n]); answer != nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

// answer returns the answer to a message with one question; nil: it is none.
func (s *Server) answer(message []byte) []byte {
	if len(message) < headerSize {
		return nil
	}
	name, rest := readName(message[headerSize:])
	if len(rest) < 4 {
		return nil
	}
	kind := binary.BigEndian.Uint16(rest)
	question := message[headerSize : len(message)-len(rest)+4]

	s.mu.Lock()
	records, known := s.names[name]
	s.asked[name]++
	s.mu.Unlock()
	flags, count := uint16(0x8580), uint16(0) // an answer, authoritative, with recursion
	if !known {
		flags |= noSuchName
	}
	var body []byte
	for _, r := range records {
		if r.kind != kind {
			continue
		}
		count++
		body = binary.BigEndian.AppendUint16(body, 0xc000|headerSize) // the name of the question
		body = binary.BigEndian.AppendUint16(body, r.kind)
		body = append(body, 0, 1, 0, 0, 0, 0) // of the Internet, not to be kept
		body = binary.BigEndian.AppendUint16(body, uint16(len(r.data)))
		body = append(body, r.data...)
	}
	answer := append([]byte{}, message[:2]...) // the number of the question
	answer = binary.BigEndian.AppendUint16(answer, flags)
	answer = append(answer, 0, 1)
	answer = binary.BigEndian.AppendUint16(answer, count)
	answer = append(answer, 0, 0, 0, 0)
	return append(append(answer, question...), body...)
}

func readName(data []byte) (name string, rest []byte) {
	var labels []string
	for len(data) > 0 && data[0] != 0 {
		end := 1 + int(data[0])
		if end > len(data) {
			return "", nil
		}
		labels = append(labels, strings.ToLower(string(data[1:end])))
		data = data[end:]
	}
	if len(data) == 0 {
		return "", nil
	}
	return strings.Join(labels, "."), data[1:]
}

func appendName(data []byte, name string) []byte {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label != "" {
			data = append(data, byte(len(label)))
			data = append(data, label...)
		}
	}
	return append(data, 0)
}
