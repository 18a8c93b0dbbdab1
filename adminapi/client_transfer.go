package adminapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
)

// Export streams the sessions that a filter chooses, one Session per line of
// JSON. The caller closes the stream; it ends with an error if it is not whole.
func (c *Client) Export(ctx context.Context, f *Filter, values bool) (io.ReadCloser, error) {
	query := f.query()
	if values {
		query.Set("values", "true")
	}
	return c.stream(ctx, "/v1/export", query)
}

// Import stores the sessions of a stream with one Record per line of JSON. With
// keep it leaves those alone that the server has already.
func (c *Client) Import(ctx context.Context, records io.Reader, keep bool) (ImportResult, error) {
	r := request{
		method: http.MethodPost, path: "/v1/import",
		contentType: "application/x-ndjson", body: records,
	}
	if keep {
		r.query = url.Values{"keep": {"true"}}
	}
	var result ImportResult
	resp, err := c.open(ctx, &r)
	if err != nil {
		return result, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&result)
	return result, err
}

// Backup streams a consistent backup. The caller closes the stream and verifies
// what was in it.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	return c.stream(ctx, "/v1/backup", nil)
}

func (c *Client) stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	resp, err := c.open(ctx, &request{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
