package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// ConnectionInfo is one open connection of a memcached client.
type ConnectionInfo struct {
	ID         string    `json:"id"`
	Client     string    `json:"client" doc:"Remote address; empty on a unix socket."`
	Listener   string    `json:"listener" doc:"The address it was accepted on."`
	Protocol   string    `json:"protocol" doc:"text, meta or binary; empty before the first request."`
	User       string    `json:"user,omitempty" doc:"Who authenticated."`
	TLS        bool      `json:"tls"`
	Since      time.Time `json:"since"`
	LastActive time.Time `json:"last_active"`
	LastVerb   string    `json:"last_verb,omitempty"`
	Requests   uint64    `json:"requests"`
	BytesIn    uint64    `json:"bytes_in"`
	BytesOut   uint64    `json:"bytes_out"`
}

// ConnectionList are connections, oldest first.
type ConnectionList struct {
	Connections []ConnectionInfo `json:"connections" nullable:"false"`
	Total       int              `json:"total" doc:"Open connections; the list may be shorter."`
}

type connectionsInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"Most connections listed."`
}

type connectionsOutput struct{ Body ConnectionList }

func (s *Server) listConnections(_ context.Context, in *connectionsInput) (*connectionsOutput, error) {
	open := s.memcached.Connections()
	slices.SortFunc(open, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) })
	list := ConnectionList{Connections: []ConnectionInfo{}, Total: len(open)}
	for _, c := range open[:min(in.Limit, len(open))] {
		list.Connections = append(list.Connections, ConnectionInfo{
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
