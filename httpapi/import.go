package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/session"
)

const importPath = "/v1/import"

// importBytes is how many bytes of values an import gives the store as one
// burst at most.
const importBytes = 1 << 20

// maxSkipped is how many skipped lines a result names.
const maxSkipped = 100

type importInput struct {
	Keep bool `query:"keep" doc:"Leave sessions that are in the store as they are."`

	body io.Reader
}

// Resolve takes hold of the body, which is read as it comes.
func (in *importInput) Resolve(ctx huma.Context) []error {
	in.body = steadyReader{ctx}
	return nil
}

// steadyReader cuts a client that sends nothing for too long.
type steadyReader struct{ ctx huma.Context }

func (r steadyReader) Read(p []byte) (int, error) {
	_ = r.ctx.SetReadDeadline(time.Now().Add(streamTimeout)) // a recorder in a test has none
	return r.ctx.BodyReader().Read(p)
}

type importOutput struct{ Body adminapi.ImportResult }

func (s *Server) importSessions(ctx context.Context, in *importInput) (*importOutput, error) {
	if !s.streams.tryAcquire() {
		return nil, huma.Error429TooManyRequests("too many exports and imports are running")
	}
	defer s.streams.release()
	m := importer{server: s, op: session.OpSet}
	if in.Keep {
		m.op = session.OpAdd
	}
	err := m.run(ctx, in.body)
	note(ctx, fmt.Sprintf("import lines=%d stored=%d kept=%d", m.result.Lines, m.result.Stored, m.result.Kept))
	if err != nil {
		return nil, err
	}
	return &importOutput{Body: m.result}, nil
}

// importer stores lines in bursts. What it stored before an error stays.
type importer struct {
	server *Server
	op     session.Op
	result adminapi.ImportResult

	burst session.Burst
	lines []int64 // where the commands of the burst come from
	bytes int     // of values in the burst
}

// run reads to the end of r. Its errors are problems.
func (m *importer) run(ctx context.Context, r io.Reader) error {
	lines := lineReader{in: bufio.NewReaderSize(r, 64<<10), max: int(m.server.maxPutBody())}
	m.server.begin(ctx, &m.burst)
	for {
		line, err := lines.next()
		if err == io.EOF {
			return m.store()
		}
		m.result.Lines++
		switch {
		case ctx.Err() != nil:
			return failure(ctx.Err())
		case errors.Is(err, bufio.ErrTooLong):
			m.skip(m.result.Lines, nil)
			continue
		case err == nil:
			err = m.add(line)
		}
		if err != nil {
			return m.problem(err)
		}
		if len(m.burst.Commands) == bulkBatch || m.bytes >= importBytes {
			if err := m.store(); err != nil {
				return err
			}
		}
	}
}

// skip counts and names a line whose value is too large. A nil key is unknown.
func (m *importer) skip(line int64, key []byte) {
	m.result.TooLarge++
	if len(m.result.Skipped) == maxSkipped {
		return
	}
	reason := fmt.Sprintf("a value may have %d bytes", m.server.options.MaxValueSize)
	if key == nil {
		reason = "the line is longer than the largest value needs"
	}
	skipped := adminapi.SkippedLine{Line: line, Reason: reason}
	skipped.Key, skipped.KeyBase64 = keyText(key)
	m.result.Skipped = append(m.result.Skipped, skipped)
}

// lineReader reads lines of at most max bytes and can go on behind longer ones.
type lineReader struct {
	in  *bufio.Reader
	max int
	buf []byte
}

// next returns the next line without its end, valid until the next call. The
// error is bufio.ErrTooLong for a line of more than max bytes, which has been
// read then, and io.EOF at the end.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	tooLong := false
	for {
		part, err := l.in.ReadSlice('\n')
		if tooLong = tooLong || len(l.buf)+len(part) > l.max; !tooLong {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (err != io.EOF || len(l.buf) == 0 && !tooLong):
			return nil, err
		case tooLong:
			return nil, bufio.ErrTooLong
		}
		return bytes.TrimRight(l.buf, "\r\n"), nil
	}
}

// add puts the session of a line into the burst.
func (m *importer) add(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	var rec adminapi.Record
	if err := unmarshalJSON(line, &rec); err != nil {
		return err
	}
	c, err := recordCommand(&rec, m.burst.Now)
	if err != nil {
		return err
	}
	if c.Expiry <= m.burst.Now {
		m.result.Expired++
		return nil
	}
	if len(c.Value) > m.server.options.MaxValueSize {
		m.skip(m.result.Lines, c.Key)
		return nil
	}
	c.Op = m.op
	*m.burst.Add() = c
	m.lines = append(m.lines, m.result.Lines)
	m.bytes += len(c.Value)
	return nil
}

// recordCommand returns what stores the record, but for its Op.
func recordCommand(rec *adminapi.Record, now session.Time) (c session.Command, err error) {
	if c.Key, err = chooseBytes(rec.Key, rec.KeyBase64); err != nil {
		return c, fmt.Errorf("key_base64: %w", err)
	}
	if !session.ValidKey(c.Key) {
		return c, fmt.Errorf("key must have 1 to %d bytes, not %d", session.MaxKeyLen, len(c.Key))
	}
	if c.Value, err = chooseValue(rec.Value, rec.ValueBase64); err != nil {
		return c, err
	}
	c.Flags = rec.Flags
	if rec.CreatedAt != nil {
		c.Created = max(session.FromTime(*rec.CreatedAt), 0)
	}
	expiry := rec.Expiry
	if expiry.ExpiresAt != nil {
		expiry.TTLSeconds, expiry.NeverExpires = nil, false
	} else if expiry.TTLSeconds != nil {
		expiry.NeverExpires = false
	}
	c.Expiry, err = expiryOf(&expiry, now)
	return c, err
}

// store applies the burst and begins another.
func (m *importer) store() error {
	if len(m.burst.Commands) > 0 {
		session.Do(m.server.engine, &m.burst)
	}
	for i := range m.burst.Results {
		switch r := &m.burst.Results[i]; r.Status {
		case session.OK:
			m.result.Stored++
		case session.NotStored:
			m.result.Kept++
		case session.TooLarge:
			m.skip(m.lines[i], m.burst.Commands[i].Key)
		default:
			return storeProblem(r)
		}
	}
	m.server.again(&m.burst)
	m.lines, m.bytes = m.lines[:0], 0
	return nil
}

// problem is that of a line which cannot be understood. The lines before it
// are stored first.
func (m *importer) problem(err error) error {
	if stored := m.store(); stored != nil {
		return stored
	}
	return huma.Error422UnprocessableEntity(
		fmt.Sprintf("line %d: %v; the %d sessions before it are stored", m.result.Lines, err, m.result.Stored),
		&huma.ErrorDetail{Location: fmt.Sprintf("body[%d]", m.result.Lines-1), Message: err.Error()})
}

// ndjsonRequest describes the body of an import.
func ndjsonRequest(api huma.API) *huma.RequestBody {
	return &huma.RequestBody{
		Required:    true,
		Description: "One session per line.",
		Content:     map[string]*huma.MediaType{ndjson: {Schema: schemaOf[adminapi.Record](api)}},
	}
}
