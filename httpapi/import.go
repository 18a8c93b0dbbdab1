package httpapi

import (
	"bufio"
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
}

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
	bytes int // of values in the burst
}

// run reads to the end of r. Its errors are problems.
func (m *importer) run(ctx context.Context, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), int(m.server.maxPutBody()))
	m.burst.Reset(m.server.engine.Now())
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return failure(err)
		}
		m.result.Lines++
		if err := m.add(lines.Bytes()); err != nil {
			return m.problem(err)
		}
		if len(m.burst.Commands) == bulkBatch || m.bytes >= importBytes {
			if err := m.store(); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		m.result.Lines++
		return m.problem(err)
	}
	return m.store()
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
	c.Op = m.op
	*m.burst.Add() = c
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
		default:
			return storeProblem(r)
		}
	}
	m.burst.Reset(m.server.engine.Now())
	m.bytes = 0
	return nil
}

// problem is that of a line which cannot be understood. The lines before it
// are stored first.
func (m *importer) problem(err error) error {
	if stored := m.store(); stored != nil {
		return stored
	}
	if errors.Is(err, bufio.ErrTooLong) {
		err = errors.New("the line is longer than the largest value needs")
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
