package adminapi

import "time"

// BulkDeleteBody chooses the sessions to delete.
type BulkDeleteBody struct {
	Filter Filter `json:"filter" doc:"Must narrow the choice by something; to delete everything use flush."`
	DryRun bool   `json:"dry_run" doc:"Only count what would be deleted."`
}

// BulkDeleteResult counts what matched.
type BulkDeleteResult struct {
	DryRun   bool   `json:"dry_run"`
	Examined int64  `json:"examined" doc:"Sessions looked at."`
	Matched  int64  `json:"matched" doc:"Sessions that the filter chooses."`
	Bytes    int64  `json:"bytes" doc:"Bytes of the keys and values of those that match."`
	Deleted  int64  `json:"deleted" doc:"Sessions deleted; less than matched if some changed or ended meanwhile."`
	Undo     string `json:"undo,omitempty" doc:"Names the undo point that brings them back, if there were many."`
}

// FlushConfirmation is the sentence that a flush must repeat.
const FlushConfirmation = "delete all sessions"

// FlushBody asks for flush_all.
type FlushBody struct {
	Confirm      string  `json:"confirm" enum:"delete all sessions" doc:"Must be this sentence."`
	DelaySeconds float64 `json:"delay_seconds,omitempty" minimum:"0" doc:"Flush so much later instead, taking what is stored meanwhile too."`
}

// FlushResult says what a flush does.
type FlushResult struct {
	Sessions int64     `json:"sessions" doc:"Sessions there were when it was asked for."`
	At       time.Time `json:"at" doc:"When it takes effect."`
	Undo     string    `json:"undo,omitempty" doc:"Names the undo point that brings the sessions back; not of a flush that is delayed."`
}
