package adminapi

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// History has figures over time.
type History struct {
	From        time.Time       `json:"from"`
	To          time.Time       `json:"to"`
	StepSeconds float64         `json:"step_seconds" doc:"From one point to the next, at least."`
	Figures     []HistoryFigure `json:"figures" nullable:"false"`
	Points      []HistoryPoint  `json:"points" nullable:"false" doc:"Oldest first; none for times in which the server did not run."`
	Events      []HistoryEvent  `json:"events" nullable:"false" doc:"Oldest first."`
}

// HistoryFigure is one of the figures that are kept over time.
type HistoryFigure struct {
	Name   string `json:"name"`
	Unit   string `json:"unit" doc:"Such as bytes, seconds, per_second; empty for a number or a share."`
	Help   string `json:"help"`
	Joined string `json:"joined" enum:"mean,max" doc:"How samples become a point."`
}

// HistoryPoint is one moment.
type HistoryPoint struct {
	At     time.Time  `json:"at"`
	Values []*float64 `json:"values" nullable:"false" doc:"In the order of figures; null: not known, or nothing happened that could be measured."`
}

// HistoryEvent is something that happened.
type HistoryEvent struct {
	At     time.Time `json:"at"`
	Until  time.Time `json:"until" doc:"When it was last seen; at, if it was one moment."`
	Kind   string    `json:"kind" enum:"start,restart,takeover,stop,slow_fsync,slow_disk,stall,out_of_space,read_only,election,no_leader"`
	Detail string    `json:"detail" doc:"A line for people; may be empty."`
}

// HistoryQuery asks for a part of the history.
type HistoryQuery struct {
	From, To time.Time // zero: an hour before To; now
	Points   int       // at most so many, to 2,000; 0: 600
}

// History returns figures over time.
func (c *Client) History(ctx context.Context, q HistoryQuery) (History, error) {
	query := url.Values{}
	if !q.From.IsZero() {
		query.Set("from", q.From.Format(time.RFC3339Nano))
	}
	if !q.To.IsZero() {
		query.Set("to", q.To.Format(time.RFC3339Nano))
	}
	if q.Points != 0 {
		query.Set("points", strconv.Itoa(q.Points))
	}
	return get[History](ctx, c, "/v1/history", query)
}
