package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
)

type connectionsInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"Most connections listed."`
}

type connectionsOutput struct{ Body adminapi.ConnectionList }

func (s *Server) listConnections(_ context.Context, in *connectionsInput) (*connectionsOutput, error) {
	open := s.memcached.Connections()
	slices.SortFunc(open, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) })
	list := adminapi.ConnectionList{Connections: []adminapi.ConnectionInfo{}, Total: len(open)}
	for _, c := range open[:min(in.Limit, len(open))] {
		list.Connections = append(list.Connections, adminapi.ConnectionInfo{
			ID: strconv.FormatUint(c.ID, 10), Client: c.Client, Listener: c.Listener,
			Protocol: c.Protocol, User: c.User, TLS: c.TLS,
			Since: c.Since.UTC(), LastActive: c.LastActive.UTC(), LastVerb: c.LastVerb,
			Requests: c.Requests, BytesIn: c.BytesIn, BytesOut: c.BytesOut,
		})
	}
	return &connectionsOutput{Body: list}, nil
}

type closeConnectionInput struct {
	ID uint64 `path:"id" doc:"The connection's id in the list."`
}

func (s *Server) closeConnection(ctx context.Context, in *closeConnectionInput) (*struct{}, error) {
	note(ctx, fmt.Sprintf("close connection %d", in.ID))
	if !s.memcached.CloseConnection(in.ID) {
		return nil, huma.Error404NotFound("no such connection")
	}
	return nil, nil
}
