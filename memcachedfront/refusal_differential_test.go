package memcachedfront_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// refusalSilence is how long a server is watched for an answer that comes too
// early. A slow machine can hide one, but never makes one up.
const refusalSilence = 20 * time.Millisecond

// refusedUntilLastByte sends a request but for its last byte and fails if there
// is an answer; then it sends the rest and a request that ends the connection,
// and returns all answers.
func refusedUntilLastByte(t *testing.T, address, request, quit string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	last := len(request) - 1
	send(t, c, request[:last])
	c.SetReadDeadline(time.Now().Add(refusalSilence))
	early := make([]byte, 1)
	if _, err := c.Read(early); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s answered early: %q, %v", address, early, err)
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	send(t, c, request[last:]+quit)
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}

// TestRefusalDifferential compares when and how Cairn and memcached refuse
// requests with a body.
func TestRefusalDifferential(t *testing.T) {
	const size = differentialItemSize + 1
	body := strings.Repeat("x", size) + "\r\n"
	requests := map[string]string{
		"ms flag": "ms a 5 Tx\r\nhello\r\n",
		"ms mode": "ms a 5 MZ\r\nhello\r\n",
		"ms":      fmt.Sprintf("ms a %d\r\n", size) + body,
		"ms q":    fmt.Sprintf("ms a %d q Oabc k\r\n", size) + body,
	}
	for _, verb := range []string{"set", "add", "replace", "append", "prepend", "set %s noreply"} {
		name, noreply, _ := strings.Cut(verb, " %s")
		requests[verb] = fmt.Sprintf("%s a 0 0 %d%s\r\n", name, size, noreply) + body
	}
	requests["cas"] = fmt.Sprintf("cas a 0 0 %d 1\r\n", size) + body
	ours, theirs := differentialCairn(t), startMemcached(t, differentialMemcachedArgs...)
	for name, request := range requests {
		got, want := refusedUntilLastByte(t, ours, request, "mn\r\nquit\r\n"), refusedUntilLastByte(t, theirs, request, "mn\r\nquit\r\n")
		if got != want {
			t.Errorf("%s: answered %q, memcached %q", name, got, want)
		}
	}
	for _, opcode := range []byte{0x01, 0x11, 0x02, 0x03, 0x0e} {
		op := binaryOp{opcode: opcode, key: []byte("a"), value: make([]byte, size)}
		if opcode != 0x0e {
			op.extras = make([]byte, 8)
		}
		packet, quit := string(op.encode(nil, 7, 0)), request(opNoop, "", "")+request(0x07, "", "")
		got, want := refusedUntilLastByte(t, ours, packet, quit), refusedUntilLastByte(t, theirs, packet, quit)
		if got != want {
			t.Errorf("%#x: answered %q, memcached %q", opcode, got, want)
		}
	}
}
