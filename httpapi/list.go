package httpapi

import (
	"context"

	"cairn/adminapi"
	"cairn/session"
)

// maxExamined bounds the sessions that one page of a listing looks at, so that
// a filter which matches next to nothing still answers at once.
const maxExamined = 100_000

type listInput struct {
	FilterParams
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most sessions on the page."`
	Kinds  bool   `query:"kinds" doc:"Say how values are written: of the first 100 sessions of the page, if they have at most 64 KiB."`
	Cursor string `query:"cursor" doc:"next_cursor of the page before, with the same filter."`
}

type listOutput struct{ Body adminapi.SessionPage }

func (s *Server) listSessions(ctx context.Context, in *listInput) (*listOutput, error) {
	f, err := in.filter()
	if err != nil {
		return nil, invalid("query.prefix", err)
	}
	after, err := decodeCursor(in.Cursor)
	if err != nil {
		return nil, invalid("query.cursor", err)
	}
	page, err := s.page(ctx, &f, after, in.Limit, in.Kinds)
	if err != nil {
		return nil, failure(err)
	}
	return &listOutput{Body: page}, nil
}

// page collects up to limit sessions after a key, with kinds if these are wanted.
func (s *Server) page(ctx context.Context, f *filter, after []byte, limit int, kinds bool) (adminapi.SessionPage, error) {
	page := adminapi.SessionPage{Sessions: []adminapi.Session{}}
	now := s.engine.Now()
	var last []byte
	more := false
	examine := func(it *session.Item) bool {
		if len(page.Sessions) == limit || page.Examined == maxExamined {
			more = true
			return false
		}
		page.Examined++
		last = append(last[:0], it.Key...)
		return true
	}
	err := f.scan(ctx, s, after, examine, func(it *session.Item) bool {
		page.Sessions = append(page.Sessions, newSession(it, now))
		if n := len(page.Sessions); kinds && n <= maxKinds {
			page.Sessions[n-1].Kind = s.kind(ctx, it)
		}
		return true
	})
	if more {
		page.NextCursor = encodeCursor(last)
	}
	return page, err
}
