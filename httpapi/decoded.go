package httpapi

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"cairn/decode"
)

type decodedInput struct {
	KeyParam
	Format string `query:"format" doc:"Read the value as this format instead of recognising it; see the formats in the answer."`
}

type decodedOutput struct {
	ETag string `header:"ETag"`
	Body decode.View
}

// maxDecoding is how many values are decoded at once. More requests wait, which
// bounds memory: each takes its value and decode.MaxMemory.
const maxDecoding = 2

func (s *Server) getDecoded(ctx context.Context, in *decodedInput) (*decodedOutput, error) {
	if err := s.decoding.acquire(ctx); err != nil {
		return nil, gone(err)
	}
	defer s.decoding.release()
	it, _, err := s.find(ctx, in.key)
	if err != nil {
		return nil, err
	}
	note(ctx, "value of "+quoteKey(in.key))
	hints := decode.Hints{Key: in.key, Flags: it.Flags}
	view, err := decode.As(ctx, decode.Format(in.Format), it.Value, hints)
	if ctx.Err() != nil {
		return nil, gone(ctx.Err())
	}
	if err != nil {
		return nil, invalid("query.format", err)
	}
	return &decodedOutput{ETag: etag(it.Version), Body: view}, nil
}

// gone is the answer, which nobody reads, to a client that went away.
func gone(err error) error {
	return huma.Error503ServiceUnavailable("the request ended while its value was decoded", err)
}
