package httpapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
	"cairn/session"
	"cairn/undo"
)

// Undo is what can be undone.
type Undo interface {
	// Before makes it possible to undo what from deletes until done is called. id is
	// "" if it is not.
	Before(ctx context.Context, reason string, from session.Origin) (id string, done func())

	// Points lists what there is, the newest first.
	Points() []undo.Point

	// Apply brings back the sessions of a point whose keys begin with prefix.
	// Without afterCrash it refuses to if a crash may have lost who logged out since.
	Apply(ctx context.Context, id string, prefix []byte, afterCrash bool, from session.Origin) (undo.Applied, error)

	// Remove lets go of a point.
	Remove(id string) error
}

// noUndo stands in where nothing can be undone.
type noUndo struct{}

func (noUndo) Before(context.Context, string, session.Origin) (string, func()) { return "", func() {} }
func (noUndo) Points() []undo.Point                                            { return nil }
func (noUndo) Remove(string) error                                             { return undo.ErrNotFound }

func (noUndo) Apply(context.Context, string, []byte, bool, session.Origin) (undo.Applied, error) {
	return undo.Applied{}, undo.ErrNotFound
}

type listUndoOutput struct{ Body adminapi.UndoList }

func (s *Server) listUndo(context.Context, *struct{}) (*listUndoOutput, error) {
	out := &listUndoOutput{Body: adminapi.UndoList{Points: []adminapi.UndoPoint{}}}
	for _, p := range s.undo.Points() {
		point := adminapi.UndoPoint{ID: p.ID, At: *jsonTime(p.Made), ExpiresAt: *jsonTime(p.Until), Reason: p.Reason, Sessions: p.Sessions}
		if p.Err != nil {
			point.Problem = p.Err.Error()
		}
		out.Body.Points = append(out.Body.Points, point)
	}
	return out, nil
}

// UndoParam is the path parameter that names an undo point.
type UndoParam struct {
	ID string `path:"id" maxLength:"64" doc:"The id of an undo point."`
}

type applyUndoInput struct {
	UndoParam
	Body adminapi.UndoBody
}

type applyUndoOutput struct{ Body adminapi.UndoResult }

func (s *Server) applyUndo(ctx context.Context, in *applyUndoInput) (*applyUndoOutput, error) {
	prefix, err := chooseBytes(in.Body.Prefix, in.Body.PrefixBase64)
	if err != nil {
		return nil, invalid("body.prefix_base64", err)
	}
	if len(prefix) > session.MaxKeyLen {
		return nil, invalid("body.prefix", fmt.Errorf("prefix must have at most %d bytes", session.MaxKeyLen))
	}
	done, err := s.undo.Apply(ctx, in.ID, prefix, in.Body.AfterCrash, recordOf(ctx))
	note(ctx, fmt.Sprintf("undo %s prefix=%s examined=%d restored=%d", in.ID, quoteKey(prefix), done.Examined, done.Restored))
	if err != nil {
		return nil, undoProblem(err)
	}
	return &applyUndoOutput{Body: adminapi.UndoResult(done)}, nil
}

func (s *Server) removeUndo(ctx context.Context, in *UndoParam) (*struct{}, error) {
	note(ctx, "remove undo point "+in.ID)
	return nil, undoProblem(s.undo.Remove(in.ID))
}

func undoProblem(err error) error {
	switch {
	case errors.Is(err, undo.ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, undo.ErrFlushed), errors.Is(err, undo.ErrGivenUp), errors.Is(err, undo.ErrCrashed), errors.Is(err, undo.ErrDamaged):
		return huma.Error409Conflict(err.Error())
	}
	return failure(err)
}
