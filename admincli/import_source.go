package admincli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"cairn/adminapi"
	"cairn/migrate"
)

// from reads another source and uploads at the same time.
func (m *importing) from(ctx context.Context, read func(context.Context) (migrate.Summary, error)) error {
	info, err := m.client.Server(ctx)
	if err != nil {
		return err
	}
	m.maxValue = int64(info.MaxValueSize)
	if m.sessions == nil {
		m.sessions = m.newProgress("import", -1, false)
	}
	defer m.sessions.end()
	body, writer := io.Pipe()
	buffered := bufio.NewWriterSize(writer, 64<<10)
	m.out = json.NewEncoder(buffered)
	var summary migrate.Summary
	var readErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		summary, readErr = read(ctx)
		writer.CloseWithError(errors.Join(readErr, buffered.Flush()))
	}()
	result, sendErr := m.client.Import(ctx, body, m.flags.keep)
	body.CloseWithError(io.ErrClosedPipe) // lets read end if the server has
	<-done
	m.sessions.end()
	if readErr != nil && !errors.Is(readErr, io.ErrClosedPipe) {
		return readErr
	}
	if sendErr != nil {
		return sendErr
	}
	result.TooLarge += m.tooLarge
	return m.report(&imported{ImportResult: result, Gone: summary.Gone, Unsuitable: summary.Unsuitable})
}

// emit uploads one session of another source.
func (m *importing) emit(total int64, r *migrate.Record) error {
	m.sessions.setTotal(total)
	m.sessions.add(1)
	if int64(len(r.Value)) > m.maxValue {
		m.tooLarge++
		m.leftOut.add(r.Key, fmt.Sprintf("its value has %d bytes, the server takes %d", len(r.Value), m.maxValue))
		return nil
	}
	value := base64.StdEncoding.EncodeToString(r.Value)
	record := adminapi.Record{KeyBase64: adminapi.EncodeKey(r.Key), ValueBase64: &value, Flags: r.Flags}
	if r.Expires.IsZero() {
		record.NeverExpires = true
	} else {
		record.ExpiresAt = &r.Expires
	}
	return m.out.Encode(&record)
}

// maxNamed is how many sessions that are left out are named.
const maxNamed = 100

// leftOut names the sessions that an import leaves out.
type leftOut struct {
	to io.Writer
	n  int
}

func (l *leftOut) add(key []byte, reason string) { l.name(fmt.Sprintf("%q", key), reason) }

// line names a line that the server has skipped.
func (l *leftOut) line(s *adminapi.SkippedLine) {
	name := fmt.Sprintf("line %d", s.Line)
	switch {
	case s.Key != "":
		name += fmt.Sprintf(", %q", s.Key)
	case s.KeyBase64 != "":
		name += ", base64:" + s.KeyBase64
	}
	l.name(name, s.Reason)
}

func (l *leftOut) name(session, reason string) {
	switch l.n++; {
	case l.n <= maxNamed:
		fmt.Fprintf(l.to, "left out: %s: %s\n", session, reason)
	case l.n == maxNamed+1:
		fmt.Fprintln(l.to, "left out: more, which are only counted")
	}
}

// faultyReader remembers why its reader failed, so that a file which cannot be read
// is not taken for a server that cannot be reached.
type faultyReader struct {
	io.Reader
	mu  sync.Mutex
	err error
}

func (f *faultyReader) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && err != io.EOF {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = err
	}
	return n, err
}

// fault returns why reading failed, or nil.
func (f *faultyReader) fault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// decompress returns what is in a gzip or zstd stream, and any other as it is.
func decompress(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReader(r)
	switch head, _ := in.Peek(4); {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}
