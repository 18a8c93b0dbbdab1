package snapshot

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"golang.org/x/time/rate"
)

// SendOptions are how a snapshot is sent. The zero value of each is its default.
type SendOptions struct {
	// BytesPerSecond bounds what is read from the disk and sent; default
	// 100,000,000, negative: no bound.
	BytesPerSecond int64

	// Progress is told after each chunk how many bytes of the snapshot the other
	// node has, of how many; default: nobody is told.
	Progress func(there, total int64)

	// Clock is the time, for tests; default: the machine's.
	Clock Clock
}

// Clock is a source of time.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

type machineClock struct{}

func (machineClock) Now() time.Time                         { return time.Now() }
func (machineClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Send sends a snapshot to a node that calls Receive at the other end. It returns
// when that has all of it on its disk. After an error, Send on another connection
// goes on where this one was. It ends soon after ctx does, if the connection does
// not block: whoever ends ctx should close it.
func Send(ctx context.Context, rw io.ReadWriter, s *Source, o SendOptions) error {
	if o.Clock == nil {
		o.Clock = machineClock{}
	}
	if o.BytesPerSecond == 0 {
		o.BytesPerSecond = 100_000_000
	}
	limit := rate.Inf
	if o.BytesPerSecond > 0 {
		limit = rate.Limit(o.BytesPerSecond)
	}
	t := &sending{
		ctx: ctx, wire: newWire(rw), source: s, o: o, total: s.offer.Bytes(),
		limit: rate.NewLimiter(limit, chunkBytes), chunk: make([]byte, chunkBytes),
	}
	err := t.run()
	t.wire.giveUp(err)
	return err
}

// sending is a transfer, seen by the sender.
type sending struct {
	ctx          context.Context
	wire         *wire
	source       *Source
	o            SendOptions
	limit        *rate.Limiter
	chunk        []byte
	there, total int64
}

// part is a file of which the receiver has a part, or all.
type part struct {
	File int   `json:"file"` // which of the offer
	Size int64 `json:"size"`
	Sum  Sum   `json:"sum"` // of that part
}

func (t *sending) run() error {
	if err := t.wire.send(kindOffer, t.source.offer.text()); err != nil {
		return err
	}
	payload, err := t.wire.expect(kindHave, maxPayload)
	if err != nil {
		return err
	}
	var have []part
	if err := json.Unmarshal(payload, &have); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	parts := map[int]part{}
	for _, p := range have {
		parts[p.File] = p
	}
	m := t.source.Manifest()
	for i := range m.Files {
		if m.Files[i].Sum, err = t.file(i, parts[i]); err != nil {
			return err
		}
	}
	if err := t.wire.send(kindDone, m.text()); err != nil {
		return err
	}
	_, err = t.wire.expect(kindOK, 0)
	return err
}

// file sends a file, or what the receiver lacks of it, and returns its sum.
func (t *sending) file(i int, p part) (sum Sum, err error) {
	f := t.source.offer.Files[i]
	if known, ok := t.source.sum(f.Name); ok && p.Size == f.Size && p.Sum == known {
		t.advance(f.Size)
		return known, t.bounds(i, f.Size, known)
	}
	path := t.source.fs.PathJoin(t.source.dir, f.Name)
	in, err := openFile(t.source.fs, path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = in.Close() }()
	if 0 < p.Size && p.Size <= f.Size {
		if err := t.skip(in, p.Size); err != nil {
			return sum, err
		}
		if sumOf(in.hash) != p.Sum { // something else with the same name
			again, err := openFile(t.source.fs, path)
			if err != nil {
				return sum, err
			}
			_ = in.Close()
			in = again
		}
	}
	t.advance(in.at)
	if err := t.begin(i, in.at); err != nil {
		return sum, err
	}
	for in.at < f.Size {
		b, err := t.read(in, f.Size)
		if err == nil {
			err = t.wire.send(kindData, b)
		}
		if err != nil {
			return sum, err
		}
		t.advance(int64(len(b)))
	}
	sum = sumOf(in.hash)
	t.source.setSum(f.Name, sum)
	return sum, t.wire.send(kindEnd, sum[:])
}

// bounds tells of a file of which nothing has to be sent.
func (t *sending) bounds(i int, size int64, sum Sum) error {
	if err := t.begin(i, size); err != nil {
		return err
	}
	return t.wire.send(kindEnd, sum[:])
}

func (t *sending) begin(i int, at int64) error {
	return t.wire.send(kindBegin, binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, uint32(i)), uint64(at)))
}

// skip reads what the receiver has.
func (t *sending) skip(in *file, size int64) error {
	for in.at < size {
		if _, err := t.read(in, size); err != nil {
			return err
		}
	}
	return nil
}

// read reads the next chunk before end, when it may be read.
func (t *sending) read(in *file, end int64) ([]byte, error) {
	b := t.chunk[:min(chunkBytes, end-in.at)]
	now := t.o.Clock.Now()
	if d := t.limit.ReserveN(now, len(b)).DelayFrom(now); d > 0 {
		select {
		case <-t.ctx.Done():
		case <-t.o.Clock.After(d):
		}
	}
	if err := t.ctx.Err(); err != nil {
		return nil, err
	}
	return b, in.next(b)
}

func (t *sending) advance(n int64) {
	t.there += n
	if t.o.Progress != nil {
		t.o.Progress(t.there, t.total)
	}
}
