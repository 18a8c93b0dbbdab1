package adminapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Server says what answers and what the caller may do.
func (c *Client) Server(ctx context.Context) (ServerInfo, error) {
	return get[ServerInfo](ctx, c, "/v1/server", nil)
}

// Stats returns all figures.
func (c *Client) Stats(ctx context.Context) (*Stats, error) {
	return get[*Stats](ctx, c, "/v1/stats", nil)
}

// Forecast says how much expires when, in at most so many slots.
func (c *Client) Forecast(ctx context.Context, slots int) (Forecast, error) {
	return get[Forecast](ctx, c, "/v1/forecast", url.Values{"slots": {strconv.Itoa(slots)}})
}

// Connections lists at most limit open connections of clients, from 1 to
// 10,000.
func (c *Client) Connections(ctx context.Context, limit int) (ConnectionList, error) {
	return get[ConnectionList](ctx, c, "/v1/connections", url.Values{"limit": {strconv.Itoa(limit)}})
}

// CloseConnection closes the connection with that ID.
func (c *Client) CloseConnection(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/v1/connections/" + url.PathEscape(id)}, nil, nil)
}

// LogLevel returns the level from which the server writes log lines.
func (c *Client) LogLevel(ctx context.Context) (LogLevel, error) {
	return get[LogLevel](ctx, c, "/v1/log-level", nil)
}

// SetLogLevel changes that level until the server stops.
func (c *Client) SetLogLevel(ctx context.Context, level string) (LogLevel, error) {
	var now LogLevel
	err := c.call(ctx, request{method: http.MethodPut, path: "/v1/log-level"}, LogLevel{Level: level}, &now)
	return now, err
}
