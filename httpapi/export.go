package httpapi

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/session"
)

// streamBuffer is how many bytes a stream gathers before it sends them.
const streamBuffer = 256 << 10

const ndjson = "application/x-ndjson"

type exportInput struct {
	FilterParams
	Values bool `query:"values" doc:"Include the values (admin scope)."`
}

func (s *Server) export(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	f, err := in.filter()
	if err != nil {
		return nil, invalid("query.prefix", err)
	}
	if in.Values {
		if err := require(ctx, ScopeAdmin); err != nil {
			return nil, err
		}
		note(ctx, strings.TrimSpace("export with values "+f.String()))
	}
	if !s.streams.tryAcquire() {
		return nil, huma.Error429TooManyRequests("too many exports and imports are running")
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer s.streams.release()
		hctx.SetHeader("Content-Type", ndjson)
		hctx.SetStatus(http.StatusOK)
		out := bufio.NewWriterSize(hctx.BodyWriter(), streamBuffer)
		if err := s.writeSessions(ctx, out, &f, in.Values); err != nil {
			s.logger.Warn("export stopped", "error", err)
			panic(http.ErrAbortHandler) // so that the client sees it is not whole
		}
	}}, nil
}

// writeSessions writes the sessions that f chooses as lines of JSON.
func (s *Server) writeSessions(ctx context.Context, out *bufio.Writer, f *filter, values bool) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	var failed error
	all := func(*session.Item) bool { return true }
	err := f.scan(ctx, s, nil, all, func(it *session.Item) bool {
		line := newSession(it, 0)
		line.TTLSeconds = nil // it would be wrong when the line is read
		if values {
			value := base64.StdEncoding.EncodeToString(it.Value)
			line.ValueBase64 = &value
		}
		failed = encoder.Encode(&line)
		return failed == nil
	})
	return errors.Join(err, failed, out.Flush())
}

// ndjsonResponse describes a stream of sessions.
func ndjsonResponse(api huma.API) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "One session per line.",
		Content:     map[string]*huma.MediaType{ndjson: {Schema: schemaOf[adminapi.Session](api)}},
	}}
}
