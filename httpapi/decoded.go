package httpapi

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cairn/decode"
	"cairn/session"
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

// maxKinds and maxKindBytes bound the work of recognising the values of a page.
const (
	maxKinds     = 100
	maxKindBytes = 64 << 10
)

// kind returns how the value of an item is written, with what is wrapped around
// it, or "" if that is not looked at.
func (s *Server) kind(ctx context.Context, it *session.Item) string {
	if len(it.Value) > maxKindBytes || s.decoding.acquire(ctx) != nil {
		return ""
	}
	defer s.decoding.release()
	view, err := decode.Value(ctx, it.Value, decode.Hints{Key: it.Key, Flags: it.Flags})
	if err != nil {
		return ""
	}
	format := string(view.Format)
	if view.Format == decode.Hex {
		format = "binary"
	}
	return strings.Join(append(view.Layers, format), "/")
}

// gone is the answer, which nobody reads, to a client that went away.
func gone(err error) error {
	return huma.Error503ServiceUnavailable("the request ended while its value was decoded", err)
}
