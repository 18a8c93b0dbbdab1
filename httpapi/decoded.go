package httpapi

import (
	"context"

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

func (s *Server) getDecoded(ctx context.Context, in *decodedInput) (*decodedOutput, error) {
	it, _, err := s.find(in.key)
	if err != nil {
		return nil, err
	}
	note(ctx, "value of "+quoteKey(in.key))
	hints := decode.Hints{Key: in.key, Flags: it.Flags}
	view, err := decode.As(decode.Format(in.Format), it.Value, hints)
	if err != nil {
		return nil, invalid("query.format", err)
	}
	return &decodedOutput{ETag: etag(it.Version), Body: view}, nil
}
