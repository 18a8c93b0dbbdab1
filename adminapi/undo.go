package adminapi

import "time"

// UndoPoint is what can be undone: a flush, a bulk delete, or the end of many sessions
// of a user.
type UndoPoint struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at" doc:"When it was made, right before what it is to undo."`
	ExpiresAt time.Time `json:"expires_at" doc:"When it is removed."`
	Reason    string    `json:"reason" doc:"What was done."`
	Sessions  int64     `json:"sessions" doc:"Sessions in the store before."`
	Problem   string    `json:"problem,omitempty" doc:"Why it cannot be applied now."`
}

// UndoList has the newest point first.
type UndoList struct {
	Points []UndoPoint `json:"points" nullable:"false"`
}

// UndoBody says what to bring back.
type UndoBody struct {
	Prefix       string `json:"prefix,omitempty" doc:"Only sessions whose keys begin with this."`
	PrefixBase64 string `json:"prefix_base64,omitempty" doc:"The prefix in base64, for bytes that are not UTF-8; wins over prefix."`
	AfterCrash   bool   `json:"after_crash,omitempty" doc:"Apply it although the server crashed since: sessions that their users ended in the last moments before come back."`
}

// UndoResult counts what has become of the sessions of a point.
type UndoResult struct {
	Examined int64 `json:"examined" doc:"Sessions of the point that have not expired."`
	Restored int64 `json:"restored" doc:"Sessions that are back."`
	Present  int64 `json:"present" doc:"Sessions left as they were, because there is one with the key."`
	Deleted  int64 `json:"deleted" doc:"Sessions left out, because they were deleted since by others."`
}
