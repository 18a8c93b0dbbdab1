package adminapi

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cairn/decode"
)

// base64Key is the parameter that says in which form EncodeKey writes keys.
var base64Key = url.Values{"key_encoding": {"base64url"}}

// sessionRequest is a request for one session, or for the part of it that rest
// names. It works for keys of any bytes.
func sessionRequest(method string, key []byte, rest string) request {
	return request{method: method, path: "/v1/sessions/" + EncodeKey(key) + rest, query: base64Key}
}

// query writes the filter as parameters of a URL.
func (f *Filter) query() url.Values {
	q := url.Values{}
	set := func(is bool, name, value string) {
		if is {
			q.Set(name, value)
		}
	}
	set(f.Prefix != "", "prefix", f.Prefix)
	if f.PrefixBase64 != "" {
		q.Set("prefix", f.PrefixBase64)
		q.Set("key_encoding", "base64url")
	}
	set(f.Contains != "", "contains", f.Contains)
	set(f.Owner != "", "owner", f.Owner)
	if f.OwnerBase64 != "" {
		q.Set("owner", f.OwnerBase64)
		q.Set("owner_encoding", "base64url")
	}
	if f.ExpiresBefore != nil {
		q.Set("expires_before", f.ExpiresBefore.UTC().Format(time.RFC3339Nano))
	}
	if f.ExpiresAfter != nil {
		q.Set("expires_after", f.ExpiresAfter.UTC().Format(time.RFC3339Nano))
	}
	set(f.MinSize > 0, "min_size", strconv.FormatInt(f.MinSize, 10))
	if f.MaxSize != nil {
		q.Set("max_size", strconv.FormatInt(*f.MaxSize, 10))
	}
	return q
}

// Sessions returns one page of the sessions that the filter chooses: at most
// limit of them, from 1 to 1000, after the cursor of the page before ("": the
// first page).
func (c *Client) Sessions(ctx context.Context, f *Filter, limit int, cursor string) (SessionPage, error) {
	query := f.query()
	query.Set("limit", strconv.Itoa(limit))
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return get[SessionPage](ctx, c, "/v1/sessions", query)
}

// Session describes a session without its value. It does not count as an
// access to it.
func (c *Client) Session(ctx context.Context, key []byte) (Session, error) {
	var s Session
	err := c.call(ctx, sessionRequest(http.MethodGet, key, ""), nil, &s)
	return s, err
}

// Decoded returns the value of a session made readable: as the format with that
// name, or as the one that it looks like if the name is empty.
func (c *Client) Decoded(ctx context.Context, key []byte, format string) (decode.View, error) {
	r := sessionRequest(http.MethodGet, key, "/decoded")
	if format != "" {
		r.query = url.Values{"key_encoding": base64Key["key_encoding"], "format": {format}}
	}
	var view decode.View
	err := c.call(ctx, r, nil, &view)
	return view, err
}

// Value copies the value of a session to w, byte for byte.
func (c *Client) Value(ctx context.Context, key []byte, w io.Writer) error {
	r := sessionRequest(http.MethodGet, key, "/value")
	resp, err := c.open(ctx, &r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

// Put stores a session over any other with its key.
func (c *Client) Put(ctx context.Context, key []byte, body *PutBody) (Session, error) {
	var s Session
	err := c.call(ctx, sessionRequest(http.MethodPut, key, ""), body, &s)
	return s, err
}

// Touch changes when a session expires.
func (c *Client) Touch(ctx context.Context, key []byte, expiry *Expiry) (Session, error) {
	var s Session
	err := c.call(ctx, sessionRequest(http.MethodPost, key, "/touch"), expiry, &s)
	return s, err
}

// Delete deletes a session; there must be one.
func (c *Client) Delete(ctx context.Context, key []byte) error {
	return c.call(ctx, sessionRequest(http.MethodDelete, key, ""), nil, nil)
}

// BulkDelete deletes, or only counts, the sessions that a filter chooses.
func (c *Client) BulkDelete(ctx context.Context, body *BulkDeleteBody) (BulkDeleteResult, error) {
	var result BulkDeleteResult
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/bulk-delete"}, body, &result)
	return result, err
}

// Flush deletes all sessions, after a delay if that is not 0.
func (c *Client) Flush(ctx context.Context, delay time.Duration) (FlushResult, error) {
	var result FlushResult
	body := FlushBody{Confirm: FlushConfirmation, DelaySeconds: delay.Seconds()}
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/flush"}, &body, &result)
	return result, err
}
