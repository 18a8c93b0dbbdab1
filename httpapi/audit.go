package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"cairn/session"
)

// record travels with a request and collects what the audit log says of it.
type record struct {
	caller caller
	action string // operation ID
	detail string // what was changed or shown
}

// Front, ID and User make a record the session.Origin of what its request asks of
// the store.
func (r *record) Front() string { return "http" }
func (r *record) ID() uint64    { return 0 }
func (r *record) User() string  { return r.caller.name }

type recordKey struct{}

func withRecord(ctx context.Context, r *record) context.Context {
	return context.WithValue(ctx, recordKey{}, r)
}

// recordOf returns the record of the request; never nil.
func recordOf(ctx context.Context) *record {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		return r
	}
	return &record{}
}

// note says in the audit log what a request changed or which value it showed.
func note(ctx context.Context, detail string) { recordOf(ctx).detail = detail }

// quoteKey writes a key on one line whatever bytes it has.
func quoteKey(key []byte) string { return url.PathEscape(string(key)) }

// auditTime writes an instant for the audit log.
func auditTime(t session.Time) string {
	if t == session.Never {
		return "never"
	}
	return jsonTime(t).Format(time.RFC3339Nano)
}

// audit writes one line for every request that changed something, tried to, or
// saw a value.
func (s *Server) audit(r *http.Request, rec *record, status int) {
	if isSafe(r.Method) && rec.detail == "" {
		return
	}
	s.logger.Info("audit",
		"token", rec.caller.name,
		"address", r.RemoteAddr,
		"action", rec.action,
		"detail", rec.detail,
		"method", r.Method,
		"path", r.URL.EscapedPath(),
		"status", status)
}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
