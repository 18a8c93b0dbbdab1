package httpapi

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
)

type reloadOutput struct{ Body adminapi.ReloadResult }

func (s *Server) reload(ctx context.Context, _ *struct{}) (*reloadOutput, error) {
	if s.options.ReloadAll == nil {
		return nil, huma.Error501NotImplemented("this server reads nothing again")
	}
	result := adminapi.ReloadResult{Parts: s.options.ReloadAll()}
	for _, part := range result.Parts {
		if part.Error != "" {
			result.Failed++
		}
	}
	note(ctx, fmt.Sprintf("reload of %d parts, %d failed", len(result.Parts), result.Failed))
	return &reloadOutput{Body: result}, nil
}

type stopOutput struct{ Body adminapi.StopResult }

// requestStop answers before the server stops: that waits for requests.
func (s *Server) requestStop(ctx context.Context, _ *struct{}) (*stopOutput, error) {
	if s.options.Stop == nil {
		return nil, huma.Error501NotImplemented("this server cannot be stopped from here")
	}
	note(ctx, "stop")
	s.options.Stop()
	return &stopOutput{Body: adminapi.StopResult{Stopping: true}}, nil
}
