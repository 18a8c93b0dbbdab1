package httpapi

import (
	"context"
	"fmt"
	"time"

	"cairn/session"
)

// flushConfirmation is the sentence that a flush must repeat.
const flushConfirmation = "delete all sessions"

// FlushBody asks for flush_all.
type FlushBody struct {
	Confirm      string  `json:"confirm" enum:"delete all sessions" doc:"Must be this sentence."`
	DelaySeconds float64 `json:"delay_seconds,omitempty" minimum:"0" doc:"Flush so much later instead, taking what is stored meanwhile too."`
}

// FlushResult says what a flush does.
type FlushResult struct {
	Sessions int64     `json:"sessions" doc:"Sessions there were when it was asked for."`
	At       time.Time `json:"at" doc:"When it takes effect."`
}

type flushOutput struct{ Body FlushResult }

func (s *Server) flush(ctx context.Context, in *struct{ Body FlushBody }) (*flushOutput, error) {
	if in.Body.Confirm != flushConfirmation {
		return nil, invalid("body.confirm", fmt.Errorf("expected %q", flushConfirmation))
	}
	result := FlushResult{Sessions: s.engine.Stats().Items}
	at := after(s.engine.Now(), in.Body.DelaySeconds)
	note(ctx, fmt.Sprintf("flush of %d sessions in %gs", result.Sessions, in.Body.DelaySeconds))
	r, now := s.apply(session.Command{Op: session.OpFlush, FlushAt: at})
	if err := storeProblem(r); err != nil {
		return nil, err
	}
	result.At = *jsonTime(min(max(at, now), session.Never-1))
	return &flushOutput{Body: result}, nil
}
