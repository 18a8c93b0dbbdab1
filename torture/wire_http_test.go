package torture

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"time"

	"cairn/session"
)

// web is the HTTP API, with what it can say of values as they are. It is not one of
// dialects, since a server has it at another address.
type web struct{ token string }

func (web) name() string { return "HTTP" }

func (web) speaks(c *session.Command) bool {
	switch c.Op {
	case session.OpGet, session.OpSet, session.OpDelete:
		return c.Mods == 0 && (c.Op != session.OpSet || c.Flags == 0)
	}
	return false
}

// ask takes keys that need no escapes in a path.
func (w web) ask(dst []byte, c *session.Command, _ session.Time) []byte {
	method, path := http.MethodGet, fmt.Sprintf("/v1/sessions/%s/value", c.Key)
	switch c.Op {
	case session.OpSet:
		method = http.MethodPut
		if c.Expiry == session.Never {
			path += "?never_expires=true"
		} else {
			path += "?expires_at=" + time.Unix(c.Expiry.Unix(), 0).UTC().Format(time.RFC3339)
		}
	case session.OpDelete:
		method, path = http.MethodDelete, fmt.Sprintf("/v1/sessions/%s", c.Key)
	}
	dst = fmt.Appendf(dst, "%s %s HTTP/1.1\r\nHost: cairn\r\nAuthorization: Bearer %s\r\n", method, path, w.token)
	if c.Op == session.OpSet {
		dst = fmt.Appendf(dst, "Content-Length: %d\r\n", len(c.Value))
	}
	return append(append(dst, "\r\n"...), c.Value...)
}

func (web) hear(r *bufio.Reader, c *session.Command) (a answer, err error) {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		a.status = session.OK
		if a.hasItem = c.Op == session.OpGet; a.hasItem {
			a.value = body
		}
	case http.StatusNotFound:
		a.status = session.NotFound
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		a.status, a.message = session.Failed, string(body)
	default:
		err = fmt.Errorf("status %s: %s", response.Status, body)
	}
	return a, err
}
