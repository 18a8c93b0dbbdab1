package httpapi

import (
	"context"
	"fmt"

	"cairn/adminapi"
	"cairn/session"
)

type flushOutput struct{ Body adminapi.FlushResult }

func (s *Server) flush(ctx context.Context, in *struct{ Body adminapi.FlushBody }) (*flushOutput, error) {
	if in.Body.Confirm != adminapi.FlushConfirmation {
		return nil, invalid("body.confirm", fmt.Errorf("expected %q", adminapi.FlushConfirmation))
	}
	result := adminapi.FlushResult{Sessions: s.engine.Stats().Items}
	at := after(s.engine.Now(), in.Body.DelaySeconds)
	note(ctx, fmt.Sprintf("flush of %d sessions in %gs", result.Sessions, in.Body.DelaySeconds))
	var done func()
	if at <= s.engine.Now() {
		result.Undo, done = s.undo.Before(ctx, fmt.Sprintf("flush of %d sessions", result.Sessions), recordOf(ctx))
		defer done()
	}
	r, now := s.apply(ctx, session.Command{Op: session.OpFlush, FlushAt: at})
	if err := storeProblem(r); err != nil {
		return nil, err
	}
	result.At = *jsonTime(min(max(at, now), session.Never-1))
	return &flushOutput{Body: result}, nil
}
