package migrate

import (
	"fmt"
	"strconv"
)

// redisError is an error that the server answered a command with.
type redisError string

func (e redisError) Error() string { return string(e) }

// maxReply bounds the elements of an array in a reply and its nesting.
const (
	maxReplyElements = 1 << 20
	maxReplyDepth    = 4
)

// ask sends a command and gives the answer; an error answer is an error.
func (r *redis) ask(command ...string) (any, error) {
	r.write(command...)
	if err := r.conn.out.Flush(); err != nil {
		return nil, err
	}
	reply, err := r.read()
	if e, ok := reply.(redisError); ok && err == nil {
		return nil, fmt.Errorf("%s: %w", command[0], e)
	}
	return reply, err
}

// write appends a command to the output, as an array of bulk strings. An error
// of the connection shows when it is flushed.
func (r *redis) write(command ...string) {
	fmt.Fprintf(r.conn.out, "*%d\r\n", len(command))
	for _, arg := range command {
		r.conn.out.WriteString("$" + strconv.Itoa(len(arg)) + "\r\n" + arg + "\r\n")
	}
}

// read reads a reply of the protocol RESP 2 (redis.io, protocol
// specification): nil, int64, []byte, []any or redisError. The bytes are the
// caller's.
func (r *redis) read() (any, error) { return r.readNested(0) }

func (r *redis) readNested(depth int) (any, error) {
	line, err := r.conn.line()
	if err != nil {
		return nil, err
	}
	if len(line) == 0 || depth > maxReplyDepth {
		return nil, errProtocol
	}
	rest := line[1:]
	switch line[0] {
	case '+':
		return []byte(string(rest)), nil
	case '-':
		return redisError(rest), nil
	}
	n, err := parseInt(rest)
	if err != nil {
		return nil, err
	}
	switch line[0] {
	case ':':
		return n, nil
	case '$':
		if n == -1 {
			return nil, nil
		}
		return r.conn.block(nil, n)
	case '*':
		return r.readArray(n, depth)
	}
	return nil, fmt.Errorf("%w: %.100q", errProtocol, line)
}

func (r *redis) readArray(n int64, depth int) (any, error) {
	if n == -1 {
		return nil, nil
	}
	if n < 0 || n > maxReplyElements {
		return nil, fmt.Errorf("%w: an array of %d", errProtocol, n)
	}
	var elements []any
	for range n {
		element, err := r.readNested(depth + 1)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	return elements, nil
}
