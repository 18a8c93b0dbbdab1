package httpapi

import (
	"context"
	"errors"

	"cairn/adminapi"
)

// bulkBatch is the number of sessions that bulk operations give the store as
// one burst.
const bulkBatch = 512

type bulkDeleteInput struct{ Body adminapi.BulkDeleteBody }

type bulkDeleteOutput struct{ Body adminapi.BulkDeleteResult }

func (s *Server) bulkDelete(ctx context.Context, in *bulkDeleteInput) (*bulkDeleteOutput, error) {
	f, err := filterOf(&in.Body.Filter)
	if err != nil {
		return nil, invalid("body.filter", err)
	}
	if f.choosesAll() {
		return nil, invalid("body.filter", errors.New("narrows nothing; to delete everything use flush"))
	}
	sweep := sweep{server: s, filter: f, result: adminapi.BulkDeleteResult{DryRun: in.Body.DryRun}}
	err = sweep.run(ctx)
	note(ctx, sweep.summary())
	if err != nil {
		return nil, failure(err)
	}
	return &bulkDeleteOutput{Body: sweep.result}, nil
}
