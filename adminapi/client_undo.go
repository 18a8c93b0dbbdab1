package adminapi

import (
	"context"
	"net/http"
	"net/url"
)

// UndoPoints lists what can be undone.
func (c *Client) UndoPoints(ctx context.Context) (UndoList, error) {
	return get[UndoList](ctx, c, "/v1/undo", nil)
}

// Undo brings back the sessions of a point, those whose keys begin with prefix. See
// UndoBody for afterCrash.
func (c *Client) Undo(ctx context.Context, id string, prefix []byte, afterCrash bool) (UndoResult, error) {
	var result UndoResult
	body := UndoBody{AfterCrash: afterCrash}
	if len(prefix) > 0 {
		body.PrefixBase64 = EncodeKey(prefix)
	}
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/undo/" + url.PathEscape(id)}, &body, &result)
	return result, err
}

// RemoveUndo lets go of a point, so that its sessions are gone for good.
func (c *Client) RemoveUndo(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/v1/undo/" + url.PathEscape(id)}, nil, nil)
}
