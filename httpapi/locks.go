package httpapi

import (
	"context"
	"strconv"

	"cairn/adminapi"
	"cairn/locks"
)

// Locks keeps the locks of sessions.
type Locks interface {
	// List returns those that are held, those first for which most clients wait.
	List() []locks.Held
}

type locksInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"Most locks listed."`
}

type locksOutput struct{ Body adminapi.LockList }

func (s *Server) listLocks(_ context.Context, in *locksInput) (*locksOutput, error) {
	list := adminapi.LockList{Locks: []adminapi.Lock{}}
	if s.options.Locks == nil {
		return &locksOutput{list}, nil
	}
	held := s.options.Locks.List()
	list.Total = len(held)
	for i := range held {
		h := &held[i]
		list.Waiting += h.Waiting
		if i >= in.Limit {
			continue
		}
		l := adminapi.Lock{ExpiresAt: jsonTime(h.Expiry), Waiting: h.Waiting}
		l.Key, l.KeyBase64 = keyText(h.Key)
		if h.Connection != 0 {
			l.Connection = strconv.FormatUint(h.Connection, 10)
		}
		if h.Waiting > 0 {
			l.WaitingSince = jsonTime(h.Since)
		}
		list.Locks = append(list.Locks, l)
	}
	return &locksOutput{list}, nil
}
