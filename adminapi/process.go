package adminapi

import (
	"context"
	"net/http"
)

// ReloadResult says what a reload has read again.
type ReloadResult struct {
	Parts  []ReloadedPart `json:"parts" nullable:"false"`
	Failed int            `json:"failed" doc:"How many parts stay as they were."`
}

// ReloadedPart is one thing that a reload reads again.
type ReloadedPart struct {
	What  string `json:"what" doc:"Such as certificates, users, session rules, log file."`
	Error string `json:"error" doc:"Why the old one stays in use; empty if the new one is."`
}

// StopResult is the answer of a server that has begun to stop.
type StopResult struct {
	Stopping bool `json:"stopping"`
}

// Reload makes the server read again what it reads on SIGHUP.
func (c *Client) Reload(ctx context.Context) (ReloadResult, error) {
	var result ReloadResult
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/reload"}, nil, &result)
	return result, err
}

// Stop makes the server stop as on SIGTERM. It has begun to when Stop returns.
func (c *Client) Stop(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/stop"}, nil, new(StopResult))
}
