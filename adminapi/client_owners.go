package adminapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// ownerRequest is a request for an owner, or for the part that rest names. It works
// for ids of any bytes.
func ownerRequest(method string, id []byte, rest string) request {
	return request{method: method, path: "/v1/owners/" + EncodeKey(id) + rest, query: url.Values{"owner_encoding": {"base64url"}}}
}

// paged adds the parameters of a page to a query.
func paged(q url.Values, limit int, cursor string) {
	q.Set("limit", strconv.Itoa(limit))
	if cursor != "" {
		q.Set("cursor", cursor)
	}
}

// Owners returns one page of the users with sessions whose ids begin with prefix: at
// most limit of them, from 1 to 1000, after the cursor of the page before ("": the
// first page).
func (c *Client) Owners(ctx context.Context, prefix []byte, limit int, cursor string) (OwnerPage, error) {
	query := url.Values{}
	if len(prefix) > 0 {
		query.Set("prefix", EncodeKey(prefix))
		query.Set("owner_encoding", "base64url")
	}
	paged(query, limit, cursor)
	return get[OwnerPage](ctx, c, "/v1/owners", query)
}

// Owner describes a user, who must have a session.
func (c *Client) Owner(ctx context.Context, id []byte) (Owner, error) {
	var o Owner
	err := c.call(ctx, ownerRequest(http.MethodGet, id, ""), nil, &o)
	return o, err
}

// OwnerSessions returns one page of the sessions of a user, as Sessions does.
func (c *Client) OwnerSessions(ctx context.Context, id []byte, limit int, cursor string) (SessionPage, error) {
	r := ownerRequest(http.MethodGet, id, "/sessions")
	paged(r.query, limit, cursor)
	var page SessionPage
	err := c.call(ctx, r, nil, &page)
	return page, err
}

// Kick ends the sessions of a user, or only counts them. That with the key except, if
// that is not nil, stays.
func (c *Client) Kick(ctx context.Context, id, except []byte, dryRun bool) (KickResult, error) {
	r := ownerRequest(http.MethodDelete, id, "/sessions")
	if except != nil {
		r.query.Set("except", EncodeKey(except))
		r.query.Set("key_encoding", "base64url")
	}
	if dryRun {
		r.query.Set("dry_run", "true")
	}
	var result KickResult
	err := c.call(ctx, r, nil, &result)
	return result, err
}
