package adminapi

import (
	"context"
	"time"
)

// Upstream is how far a move from another store is.
type Upstream struct {
	Servers []UpstreamServer `json:"servers" nullable:"false" doc:"The old store."`
	State   string           `json:"state" enum:"none,moving,done,ended,closed" doc:"none: the server has no upstream. moving: the old store is asked for what is not here. done: nothing is to be had there any more. ended: it is not asked any more, for the reason in ended. closed: it is not asked, because what must not be forgotten cannot be noted; see the log."`
	Mirror  bool             `json:"mirror" doc:"Changes are copied to the old store."`

	Since        time.Time  `json:"since" doc:"When the move began; without one, when the server did."`
	DoneAt       *time.Time `json:"done_at" doc:"When every session of the old store will have been fetched or have ended, judged by the longest life that a session was given. null: not known, or one was given that never ends."`
	LastHit      *time.Time `json:"last_hit" doc:"When the old store last had what was not here."`
	LongestLife  float64    `json:"longest_life_seconds" doc:"The longest life that a session was given."`
	NeverExpires bool       `json:"never_expires" doc:"A session was given that never expires."`
	Ended        string     `json:"ended" doc:"Why the old store is not asked any more."`

	Hits       int64 `json:"hits" doc:"Sessions fetched."`
	Misses     int64 `json:"misses" doc:"Sessions that the old store did not have either."`
	Errors     int64 `json:"errors" doc:"Sessions that could not be asked for or stored. Clients were told that they are absent."`
	Unsuitable int64 `json:"unsuitable" doc:"Sessions of the old store that cannot be one here."`

	Removed         int64 `json:"removed" doc:"Sessions removed at the old store before the client heard of it."`
	RemovedLater    int64 `json:"removed_later" doc:"Sessions that could not be removed there at once."`
	PendingRemovals int   `json:"pending_removals" doc:"Of those, the ones that the old store has yet to be told of."`

	Copied  int64 `json:"copied" doc:"Changes copied to the old store."`
	Refused int64 `json:"refused" doc:"Sessions that it did not take, and has no more."`
	Dropped int64 `json:"dropped" doc:"Changes that were not copied, because too many waited."`
	Queue   int   `json:"queue" doc:"Sessions that wait to be copied or removed."`
}

// UpstreamServer is one server of an old store.
type UpstreamServer struct {
	Address     string     `json:"address"`
	Down        bool       `json:"down" doc:"It does not answer and is left alone for now."`
	LastError   string     `json:"last_error"`
	LastErrorAt *time.Time `json:"last_error_at"`
}

// Upstream says how far a move from another store is.
func (c *Client) Upstream(ctx context.Context) (Upstream, error) {
	return get[Upstream](ctx, c, "/v1/upstream", nil)
}
