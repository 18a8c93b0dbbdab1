package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"cairn/session"
)

// exportChunk is how many bytes an export gathers before it lets go of the
// store and sends them: a slow client must not hold a scan open.
const exportChunk = 256 << 10

const ndjson = "application/x-ndjson"

type exportInput struct {
	FilterParams
	Values bool `query:"values" doc:"Include the values (admin scope)."`
}

func (s *Server) export(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	if in.Values {
		if err := require(ctx, ScopeAdmin); err != nil {
			return nil, err
		}
		note(ctx, fmt.Sprintf("export with values, prefix=%s", quoteKey([]byte(in.Prefix))))
	}
	f, err := in.filter()
	if err != nil {
		return nil, invalid("query.prefix", err)
	}
	if !s.streams.tryAcquire() {
		return nil, huma.Error429TooManyRequests("too many exports and imports are running")
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer s.streams.release()
		hctx.SetHeader("Content-Type", ndjson)
		hctx.SetStatus(http.StatusOK)
		x := exporter{server: s, filter: f, values: in.Values}
		if err := x.run(ctx, hctx.BodyWriter().Write); err != nil {
			s.logger.Warn("export stopped", "error", err)
			panic(http.ErrAbortHandler) // so that the client sees it is not whole
		}
	}}, nil
}

// exporter streams sessions as lines of JSON.
type exporter struct {
	server *Server
	filter filter
	values bool

	chunk bytes.Buffer
	last  []byte // the last key looked at; nil before the first
}

func (x *exporter) run(ctx context.Context, write func([]byte) (int, error)) error {
	for done := false; !done; {
		x.chunk.Reset()
		var err error
		if done, err = x.gather(ctx); err != nil {
			return err
		}
		if _, err := write(x.chunk.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// gather fills the chunk. It reports true when nothing is left behind it.
func (x *exporter) gather(ctx context.Context) (done bool, err error) {
	encoder := json.NewEncoder(&x.chunk)
	encoder.SetEscapeHTML(false)
	now := x.server.engine.Now()
	done = true
	examined := 0
	examine := func(it *session.Item) bool {
		if x.chunk.Len() >= exportChunk || examined == maxExamined {
			done = false
			return false
		}
		examined++
		x.last = append(x.last[:0], it.Key...)
		return true
	}
	var failed error
	err = x.filter.scan(ctx, x.server.engine, x.last, examine, func(it *session.Item) bool {
		line := newSession(it, now)
		line.TTLSeconds = nil
		if x.values {
			value := base64.StdEncoding.EncodeToString(it.Value)
			line.ValueBase64 = &value
		}
		failed = encoder.Encode(&line)
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return done, err
}

// ndjsonResponse describes a stream of sessions.
func ndjsonResponse(api huma.API) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "One session per line.",
		Content:     map[string]*huma.MediaType{ndjson: {Schema: schemaOf[Session](api)}},
	}}
}
