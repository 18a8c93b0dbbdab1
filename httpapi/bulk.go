package httpapi

import (
	"context"
	"errors"
)

// bulkBatch is the number of sessions that bulk operations give the store as
// one burst.
const bulkBatch = 512

// BulkDeleteBody chooses the sessions to delete.
type BulkDeleteBody struct {
	Filter Filter `json:"filter" doc:"Must narrow the choice by something; to delete everything use flush."`
	DryRun bool   `json:"dry_run" doc:"Only count what would be deleted."`
}

// BulkDeleteResult counts what matched.
type BulkDeleteResult struct {
	DryRun   bool  `json:"dry_run"`
	Examined int64 `json:"examined" doc:"Sessions looked at."`
	Matched  int64 `json:"matched" doc:"Sessions that the filter chooses."`
	Bytes    int64 `json:"bytes" doc:"Bytes of the keys and values of those that match."`
	Deleted  int64 `json:"deleted" doc:"Sessions deleted; less than matched if some changed or ended meanwhile."`
}

type bulkDeleteInput struct{ Body BulkDeleteBody }

type bulkDeleteOutput struct{ Body BulkDeleteResult }

func (s *Server) bulkDelete(ctx context.Context, in *bulkDeleteInput) (*bulkDeleteOutput, error) {
	f, err := in.Body.Filter.filter()
	if err != nil {
		return nil, invalid("body.filter", err)
	}
	if f.choosesAll() {
		return nil, invalid("body.filter", errors.New("narrows nothing; to delete everything use flush"))
	}
	sweep := sweep{server: s, filter: f, result: BulkDeleteResult{DryRun: in.Body.DryRun}}
	err = sweep.run(ctx)
	note(ctx, sweep.summary())
	if err != nil {
		return nil, failure(err)
	}
	return &bulkDeleteOutput{Body: sweep.result}, nil
}
