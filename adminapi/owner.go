package adminapi

import "time"

// Owner is a user with sessions.
type Owner struct {
	Owner       string     `json:"owner" doc:"The user's id as the sessions have it, or its hash where the rules say so. What is not UTF-8 in it appears as U+FFFD; then owner_base64 has the exact bytes."`
	OwnerBase64 string     `json:"owner_base64,omitempty" doc:"The id in base64url without padding, if it is not UTF-8."`
	Sessions    int64      `json:"sessions" doc:"How many there are now."`
	OldestAt    *time.Time `json:"oldest_at,omitempty" doc:"When the first of them began."`
	LastAccess  *time.Time `json:"last_access,omitempty" doc:"When one of them was last read or stored, as far as the server remembers."`
}

// OwnerPage is one page of a listing: shorter ids first, and ascending by byte among
// those of one length.
type OwnerPage struct {
	Owners     []Owner `json:"owners" nullable:"false"`
	NextCursor string  `json:"next_cursor,omitempty" doc:"Absent on the last page."`
	Complete   bool    `json:"complete" doc:"False while the owners of sessions are being found that were stored before the rules were as they are."`
}

// KickResult counts the sessions of a user that have ended.
type KickResult struct {
	DryRun  bool   `json:"dry_run"`
	Matched int64  `json:"matched" doc:"Sessions there were, without the one to keep."`
	Deleted int64  `json:"deleted" doc:"Sessions deleted, with those that were stored meanwhile."`
	Undo    string `json:"undo,omitempty" doc:"Names the undo point that brings them back, if there were many."`
}
