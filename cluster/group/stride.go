package group

import (
	"context"

	"cairn/engine"
	"cairn/session"
)

// stride makes an engine number the entries of its log so that no two groups have
// the same numbers: versions follow from them, and no version is given twice.
type stride struct {
	Engine
	groups, number uint64
}

func (s stride) up(at engine.Position) engine.Position {
	at.Index = at.Index*s.groups + s.number
	return at
}

func (s stride) down(at engine.Position) engine.Position {
	at.Index /= s.groups
	return at
}

func (s stride) ReplayNoting(at engine.Position, b *session.Burst, note func() []engine.Note) error {
	return s.Engine.ReplayNoting(s.up(at), b, note)
}

func (s stride) Applied() engine.Position { return s.down(s.Engine.Applied()) }

func (s stride) DurablePosition() (engine.Position, error) {
	at, err := s.Engine.DurablePosition()
	return s.down(at), err
}

func (s stride) MakeDurable(ctx context.Context) (engine.Position, error) {
	at, err := s.Engine.MakeDurable(ctx)
	return s.down(at), err
}
