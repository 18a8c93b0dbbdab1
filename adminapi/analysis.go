package adminapi

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Analysis says what fills sessions, as a sample of them shows it.
type Analysis struct {
	Now      time.Time      `json:"now"`
	Sampled  int            `json:"sampled" doc:"Sessions that were looked at."`
	Complete bool           `json:"complete" doc:"All sessions were looked at: counts are exact."`
	Rules    []RuleAnalysis `json:"rules" nullable:"false" doc:"By rule, most bytes first."`
}

// RuleAnalysis is what one rule's sessions are like. Shares are of what was sampled,
// from 0 to 1.
type RuleAnalysis struct {
	Rule     string `json:"rule" doc:"The rule that applies to the keys; empty: none does."`
	Kind     string `json:"kind" enum:"session,lock,companion,other" doc:"What the rule says that the keys are."`
	Sampled  int    `json:"sampled"`
	Sessions int64  `json:"sessions" doc:"How many there are: an estimate unless complete."`
	Bytes    int64  `json:"bytes" doc:"Of their values: an estimate unless complete."`

	Size    Percentiles   `json:"size" doc:"Bytes of values."`
	Age     Percentiles   `json:"age_seconds" doc:"Since sessions began, where the store keeps that."`
	AgeOf   int           `json:"age_of" doc:"Of how many sampled sessions that is known."`
	Formats []FormatShare `json:"formats" nullable:"false" doc:"How values are written, most frequent first."`

	Remembered int     `json:"remembered" doc:"Of how many sampled sessions the server remembers whether they were read."`
	NeverRead  float64 `json:"never_read" doc:"Share of those that were not read since they were stored: robots, mostly."`

	Members []MemberShare `json:"members" nullable:"false" doc:"What values consist of, most bytes first: members of the first two levels."`
}

// Percentiles of a distribution.
type Percentiles struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// FormatShare is how many values are written in a format.
type FormatShare struct {
	Format string  `json:"format" doc:"As for decoded values; behind it, what they are wrapped in."`
	Share  float64 `json:"share"`
}

// MemberShare is how much of the values a member takes.
type MemberShare struct {
	Path    string  `json:"path" doc:"Names with dots between them; * replaces names that look like ids, [] is a member of a list."`
	Share   float64 `json:"share" doc:"Of the bytes of all values that were decoded, as JSON."`
	Present float64 `json:"present" doc:"Share of the values that have it."`
	Mean    int64   `json:"mean" doc:"Bytes in a value that has it."`
}

// AnalysisQuery says what is looked at.
type AnalysisQuery struct {
	Rule   string // only keys of this rule; "": any
	Prefix string // only keys that begin so
	Sample int    // about how many sessions; 0: 10,000
}

// Analysis returns what fills sessions. It takes some seconds.
func (c *Client) Analysis(ctx context.Context, q AnalysisQuery) (Analysis, error) {
	query := url.Values{}
	if q.Rule != "" {
		query.Set("rule", q.Rule)
	}
	if q.Prefix != "" {
		query.Set("prefix", q.Prefix)
	}
	if q.Sample != 0 {
		query.Set("sample", strconv.Itoa(q.Sample))
	}
	return get[Analysis](ctx, c, "/v1/analysis", query)
}
