package httpapi

import (
	"context"

	"cairn/adminapi"
)

type upstreamOutput struct{ Body adminapi.Upstream }

func (s *Server) getUpstream(context.Context, *struct{}) (*upstreamOutput, error) {
	if s.options.Upstream == nil {
		return &upstreamOutput{Body: adminapi.Upstream{Servers: []adminapi.UpstreamServer{}, State: "none", Since: s.started.UTC()}}, nil
	}
	return &upstreamOutput{Body: s.options.Upstream()}, nil
}
