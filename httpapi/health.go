package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
)

type livezOutput struct{ Body adminapi.Liveness }

func (s *Server) livez(context.Context, *struct{}) (*livezOutput, error) {
	return &livezOutput{Body: adminapi.Liveness{Status: "ok", ReadOnly: s.engine.Stats().ReadOnly}}, nil
}

type readyzOutput struct {
	Status int
	Body   adminapi.Readiness
}

func (s *Server) readyz(context.Context, *struct{}) (*readyzOutput, error) {
	reasons, _ := s.readiness()
	out := &readyzOutput{Status: http.StatusOK, Body: adminapi.Readiness{Ready: len(reasons) == 0, Reasons: reasons}}
	if !out.Body.Ready {
		out.Status = http.StatusServiceUnavailable
	}
	return out, nil
}

// readiness returns the reasons why the server is not ready, never nil, and the name
// of the cluster that it belongs to, of the same moment; empty: none.
func (s *Server) readiness() (reasons []string, cluster string) {
	reasons = []string{}
	if s.draining.Load() {
		reasons = append(reasons, "draining")
	}
	stats := s.engine.Stats()
	if stats.Stalled {
		reasons = append(reasons, "stalled")
	}
	if stats.OutOfSpace {
		reasons = append(reasons, "out_of_space")
	}
	if stats.ReadOnly {
		reasons = append(reasons, "read_only")
	}
	c, ok := s.cluster()
	if !ok {
		return reasons, ""
	}
	if drained(&c) {
		reasons = append(reasons, "drained")
	}
	switch {
	case c.Removed:
		reasons = append(reasons, "removed")
	case leaderless(&c):
		reasons = append(reasons, "no_leader")
	}
	return reasons, c.Name
}

// ready reports whether the server takes traffic.
func (s *Server) ready() bool {
	reasons, _ := s.readiness()
	return len(reasons) == 0
}

func readyzResponses(api huma.API) map[string]*huma.Response {
	schema := schemaOf[adminapi.Readiness](api)
	content := map[string]*huma.MediaType{"application/json": {Schema: schema}}
	return map[string]*huma.Response{
		"200": {Description: "Ready.", Content: content},
		"503": {Description: "Not ready.", Content: content},
	}
}
