package peer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A frame is its kind, 1 byte, the length of its body, 4 bytes little endian, and
// the body:
//
//	hello:  the first of each side: a Hello as JSON
//	state:  what a node says of itself, again and again, as JSON
//	raft:   group, then messages, each with its length, as raftpb has them
//	call:   number, body
//	reply:  number, body
//
// Numbers and lengths in bodies are varints.
const (
	frameHello byte = iota + 1
	frameState
	frameRaft
	frameCall
	frameReply
)

const frameHeader = 5

// maxHello bounds what a stranger may send.
const maxHello = 64 << 10

var errFrame = errors.New("peer: malformed frame")

// beginFrame appends the header of a frame; endFrame completes it when the body
// has been appended.
func beginFrame(dst []byte, kind byte) []byte { return append(dst, kind, 0, 0, 0, 0) }

func endFrame(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-frameHeader))
	return dst
}

func appendFrame(dst []byte, kind byte, body []byte) []byte {
	start := len(dst)
	return endFrame(append(beginFrame(dst, kind), body...), start)
}

// appendNumbered appends a call or a reply.
func appendNumbered(dst []byte, kind byte, number uint64, body []byte) []byte {
	start := len(dst)
	dst = binary.AppendUvarint(beginFrame(dst, kind), number)
	return endFrame(append(dst, body...), start)
}

func splitNumbered(body []byte) (number uint64, rest []byte, err error) {
	number, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, nil, errFrame
	}
	return number, body[n:], nil
}

// appendRaft appends the messages of a group as a frame.
func appendRaft(dst []byte, group uint64, messages []*raftpb.Message) ([]byte, error) {
	start := len(dst)
	dst = binary.AppendUvarint(beginFrame(dst, frameRaft), group)
	for _, m := range messages {
		dst = binary.AppendUvarint(dst, uint64(proto.Size(m)))
		var err error
		if dst, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(dst, m); err != nil {
			return dst[:start], err
		}
	}
	return endFrame(dst, start), nil
}

// decodeRaft is the reverse. The messages alias nothing.
func decodeRaft(body []byte) (group uint64, messages []*raftpb.Message, err error) {
	group, body, err = splitNumbered(body)
	for err == nil && len(body) > 0 {
		var size uint64
		if size, body, err = splitNumbered(body); err != nil || size > uint64(len(body)) {
			return 0, nil, errFrame
		}
		m := new(raftpb.Message)
		if err := proto.Unmarshal(body[:size], m); err != nil {
			return 0, nil, fmt.Errorf("%w: %v", errFrame, err)
		}
		messages, body = append(messages, m), body[size:]
	}
	return group, messages, err
}

// firstRead is how much memory a frame gets before its bytes have come.
const firstRead = 1 << 20

// readFrame reads a frame of at most limit bytes. The body is the caller's.
func readFrame(r *bufio.Reader, limit int) (kind byte, body []byte, err error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	length := int64(binary.LittleEndian.Uint32(header[1:]))
	if length > int64(limit) {
		return 0, nil, fmt.Errorf("peer: a frame of %d bytes; the limit is %d", length, limit)
	}
	if length <= firstRead {
		body = make([]byte, length)
		_, err := io.ReadFull(r, body)
		return header[0], body, noEOF(err)
	}
	var b bytes.Buffer
	b.Grow(firstRead)
	_, err = io.CopyN(&b, r, length)
	return header[0], b.Bytes(), noEOF(err)
}

// noEOF makes the end of a stream within a frame an error.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
