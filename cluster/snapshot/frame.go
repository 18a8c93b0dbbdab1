package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
)

// A transfer is frames: kind u8, length of the payload u32, XXH3 of the payload u64,
// XXH3 of all before, cut to u32, and the payload. Numbers are little-endian. The
// header has a sum of its own so that nobody waits for a length that is damaged.
//
//	sender                            receiver
//	offer: manifest without sums
//	                                  have: files with their sizes so far, and sums
//	begin: file, where it goes on
//	data, data, ...
//	end: sum of the file
//	... the other files
//	done: manifest
//	                                  ok: all is on the disk
const (
	kindOffer = iota + 1
	kindHave
	kindBegin
	kindData
	kindEnd
	kindDone
	kindOK
	kindError // a message: the other side gives up
)

const (
	frameHeader = 17
	headSum     = 13 // where the header's sum is

	// chunkBytes is how much of a file a frame has at most.
	chunkBytes = 256 << 10

	maxPayload = 256 << 20 // a manifest of a million files
	maxReason  = 4 << 10   // of an error
)

// wire is a connection, as frames.
type wire struct {
	r   *bufio.Reader
	w   io.Writer
	in  []byte
	out []byte
}

func newWire(rw io.ReadWriter) *wire {
	return &wire{r: bufio.NewReaderSize(rw, 64<<10), w: rw}
}

// RemoteError is why the other side has given up.
type RemoteError struct{ Message string }

func (e *RemoteError) Error() string { return "snapshot: the other node: " + e.Message }

// send writes a frame.
func (w *wire) send(kind byte, payload []byte) error {
	b := append(w.out[:0], kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, xxh3.Hash(payload))
	b = binary.LittleEndian.AppendUint32(b, uint32(xxh3.Hash(b)))
	w.out = append(b, payload...)
	_, err := w.w.Write(w.out)
	return err
}

// receive reads a frame of at most limit bytes of payload. It is good until the next
// call.
func (w *wire) receive(limit int) (kind byte, payload []byte, err error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return 0, nil, unexpected(err)
	}
	kind = head[0]
	size := binary.LittleEndian.Uint32(head[1:])
	if uint32(xxh3.Hash(head[:headSum])) != binary.LittleEndian.Uint32(head[headSum:]) ||
		kind == 0 || kind > kindError || int64(size) > max(int64(limit), maxReason) {
		return 0, nil, ErrDamaged
	}
	payload, err = w.read(int(size))
	if err != nil {
		return 0, nil, unexpected(err)
	}
	if xxh3.Hash(payload) != binary.LittleEndian.Uint64(head[5:]) {
		return 0, nil, ErrDamaged
	}
	if kind == kindError {
		return 0, nil, &RemoteError{string(payload)}
	}
	if len(payload) > limit {
		return 0, nil, ErrDamaged
	}
	return kind, payload, nil
}

// read reads n bytes. What n says is believed only as far as bytes come.
func (w *wire) read(n int) ([]byte, error) {
	const step = 1 << 20
	w.in = w.in[:0]
	for len(w.in) < n {
		at := len(w.in)
		w.in = append(w.in, make([]byte, min(step, n-at))...)
		if _, err := io.ReadFull(w.r, w.in[at:]); err != nil {
			return nil, err
		}
	}
	return w.in, nil
}

// expect reads a frame of a kind.
func (w *wire) expect(kind byte, limit int) (payload []byte, err error) {
	got, payload, err := w.receive(limit)
	if err == nil && got != kind {
		err = fmt.Errorf("%w: a frame of kind %d instead of %d", ErrDamaged, got, kind)
	}
	return payload, err
}

// giveUp tells the other side why, unless it has told us or is gone.
func (w *wire) giveUp(err error) {
	if err == nil || errors.As(err, new(*RemoteError)) || errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	reason := []byte(err.Error())
	_ = w.send(kindError, reason[:min(len(reason), maxReason)])
}

// unexpected makes an error of the end of the connection.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
