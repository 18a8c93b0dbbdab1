package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/session"
)

const importPath = "/v1/import"

// importBytes is how many bytes of values an import gives the store as one
// burst at most.
const importBytes = 1 << 20

// Record is one line of an import: what an export gives, of which the members
// that are not here are ignored. If several say when it expires, the first of
// expires_at, ttl_seconds and never_expires wins.
type Record struct {
	Key         string  `json:"key,omitempty" doc:"The key as text."`
	KeyBase64   string  `json:"key_base64,omitempty" doc:"The key in base64; wins over key."`
	Value       *string `json:"value,omitempty" doc:"The value as text. Give either this or value_base64."`
	ValueBase64 *string `json:"value_base64,omitempty" doc:"The value in base64."`
	Flags       uint32  `json:"flags,omitempty" format:"int64" maximum:"4294967295"`
	Expiry
}

// ImportResult counts the lines of an import.
type ImportResult struct {
	Lines   int64 `json:"lines" doc:"Read."`
	Stored  int64 `json:"stored"`
	Kept    int64 `json:"kept" doc:"Left as they were in the store, with keep=true."`
	Expired int64 `json:"expired" doc:"Skipped because their time was over."`

	TooLarge int64         `json:"too_large" doc:"Skipped because the server takes no value of that size."`
	Skipped  []SkippedLine `json:"skipped,omitempty" maxItems:"100" doc:"The first of those that were too large."`
}

// SkippedLine is a line of an import that was left out.
type SkippedLine struct {
	Line      int64  `json:"line" doc:"From 1."`
	Key       string `json:"key,omitempty" doc:"The key, if it is UTF-8 and the line was not too long to be read."`
	KeyBase64 string `json:"key_base64,omitempty" doc:"The key in base64url without padding, if it is not UTF-8."`
	Reason    string `json:"reason"`
}

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

type importOutput struct{ Body ImportResult }

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
	result ImportResult

	burst session.Burst
	lines []int64 // where the commands of the burst come from
	bytes int     // of values in the burst
}

// run reads to the end of r. Its errors are problems.
func (m *importer) run(ctx context.Context, r io.Reader) error {
	lines := lineReader{in: bufio.NewReaderSize(r, 64<<10), max: int(m.server.maxPutBody())}
	m.burst.Reset(m.server.engine.Now())
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
	skipped := SkippedLine{Line: line, Reason: reason}
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
	var rec Record
	if err := json.Unmarshal(line, &rec); err != nil {
		return err
	}
	c, err := rec.command(m.burst.Now)
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

// command gives what stores the record, but for its Op.
func (rec *Record) command(now session.Time) (c session.Command, err error) {
	if c.Key, err = chooseBytes(rec.Key, rec.KeyBase64); err != nil {
		return c, fmt.Errorf("key_base64: %w", err)
	}
	if !session.ValidKey(c.Key) {
		return c, fmt.Errorf("key must have 1 to %d bytes, not %d", session.MaxKeyLen, len(c.Key))
	}
	body := PutBody{Value: rec.Value, ValueBase64: rec.ValueBase64}
	if c.Value, err = body.value(); err != nil {
		return c, err
	}
	c.Flags = rec.Flags
	expiry := rec.Expiry
	if expiry.ExpiresAt != nil {
		expiry.TTLSeconds, expiry.NeverExpires = nil, false
	} else if expiry.TTLSeconds != nil {
		expiry.NeverExpires = false
	}
	c.Expiry, err = expiry.at(now)
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
	m.burst.Reset(m.server.engine.Now())
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
		Content:     map[string]*huma.MediaType{ndjson: {Schema: schemaOf[Record](api)}},
	}
}
