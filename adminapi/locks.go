package adminapi

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Lock is a lock of a session that somebody holds.
type Lock struct {
	Key          string     `json:"key" doc:"The key as text. What is not UTF-8 in it appears as U+FFFD; then key_base64 has the exact bytes."`
	KeyBase64    string     `json:"key_base64,omitempty" doc:"The key in base64url without padding, if it is not UTF-8."`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"When it ends at the latest."`
	Connection   string     `json:"connection,omitempty" doc:"The id of the connection whose end frees it, as the list of connections has it."`
	Waiting      int        `json:"waiting" doc:"Clients that wait for it."`
	WaitingSince *time.Time `json:"waiting_since,omitempty" doc:"Since when the first of them does."`
}

// LockList are locks, those first for which most clients wait.
type LockList struct {
	Locks   []Lock `json:"locks" nullable:"false"`
	Total   int    `json:"total" doc:"Locks that are held; the list may be shorter."`
	Waiting int    `json:"waiting" doc:"Clients that wait, for all of them."`
}

// Locks lists at most limit of the locks that are kept in memory, from 1 to 10,000.
func (c *Client) Locks(ctx context.Context, limit int) (LockList, error) {
	return get[LockList](ctx, c, "/v1/locks", url.Values{"limit": {strconv.Itoa(limit)}})
}
