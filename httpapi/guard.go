package httpapi

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/processors"
)

// guard is the outermost handler: it refuses what no operation should see,
// finds out who is calling, and writes the audit line afterwards.
func (s *Server) guard(next http.Handler) http.Handler {
	requests := newLimiters(s.options.Limits.Requests, int(2*max(s.options.Limits.Requests, 1)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response := &watchedResponse{ResponseWriter: w, control: http.NewResponseController(w)}
		setHeaders(w.Header(), r.URL.Path)
		if !requests.allow(originOf(r)) {
			tooMany(response, "too many requests from this address")
			return
		}
		if reason := s.foreign(r); reason != "" {
			s.logger.Warn("request refused", "reason", reason, "address", r.RemoteAddr, "path", r.URL.Path)
			writeProblem(response, http.StatusForbidden, reason)
			return
		}
		who, ok := s.identify(response, r)
		if !ok {
			return
		}
		rec := &record{caller: who}
		r = r.WithContext(withRecord(r.Context(), rec))
		r.Body = &timedBody{ReadCloser: r.Body, control: response.control}
		begin := time.Now()
		processors.Look(begin)
		defer func() {
			s.requests.observe(rec.action, response.code(), time.Since(begin))
			s.audit(r, rec, response.code())
		}()
		next.ServeHTTP(response, r)
	})
}

// setHeaders sets the headers that every response has; the console replaces
// some with its own.
func setHeaders(h http.Header, path string) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if strings.HasPrefix(path, "/v1/") {
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	}
}

// foreign returns the reason to refuse a request that a page of another site
// made a browser send, or "".
//
// Browsers say where a request comes from in Sec-Fetch-Site, old ones in
// Origin. A name that an attacker points at this machine (DNS rebinding) makes
// a request same-origin; so while the API is open to everyone on the machine,
// the Host must be one that nobody else controls.
func (s *Server) foreign(r *http.Request) string {
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "same-origin", "none":
	default:
		if !opensPage(r) {
			return "request comes from another site"
		}
	}
	if origin := r.Header.Get("Origin"); origin != "" && r.Header.Get("Sec-Fetch-Site") == "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return "request comes from another origin"
		}
	}
	if s.isOpen() && !isLocalHost(r.Host) {
		return "host is not a loopback address; configure tokens to serve under other names"
	}
	return ""
}

// opensPage reports whether a request follows a link to the console, or to the
// documentation, as alerts have them.
func opensPage(r *http.Request) bool {
	page := r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/docs/")
	return page && isSafe(r.Method) && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// isOpen reports whether everyone who reaches the listener is an administrator.
func (s *Server) isOpen() bool { return !s.auth.hasTokens() && !s.options.ClientCertificates }

// isLocalHost reports whether a Host header names this machine's loopback.
func isLocalHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// watchedResponse remembers the status, and gives every write its own deadline
// so that a client which reads nothing is cut while a long stream is not.
type watchedResponse struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
}

func (w *watchedResponse) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watchedResponse) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.allowTime()
	w.ResponseWriter.WriteHeader(status)
}

// allowTime begins the time for a write. The one of the request before on the
// same connection is over, perhaps long ago.
func (w *watchedResponse) allowTime() {
	_ = w.control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder in a test has none
}

func (w *watchedResponse) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.allowTime()
	return w.ResponseWriter.Write(p)
}

func (w *watchedResponse) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// timedBody lifts the deadline for reading the body once it is read: a deadline
// that passes later would cancel the request while it is carried out.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// writeProblem answers with a problem (RFC 9457) outside the described API.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.NewError(status, detail)) // the client may be gone
}

func tooMany(w http.ResponseWriter, detail string) {
	w.Header().Set("Retry-After", "1")
	writeProblem(w, http.StatusTooManyRequests, detail)
}

// noSuchRoute answers paths that nothing serves: 405 if another method would
// do, else 404.
func noSuchRoute(mux *http.ServeMux) http.Handler {
	methods := []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed := slices.DeleteFunc(slices.Clone(methods), func(method string) bool {
			other := r.Clone(r.Context())
			other.Method = method
			_, pattern := mux.Handler(other)
			return !strings.Contains(pattern, " ")
		})
		if len(allowed) == 0 {
			writeProblem(w, http.StatusNotFound, "there is nothing here; /openapi.json describes the API")
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeProblem(w, http.StatusMethodNotAllowed, "allowed here: "+strings.Join(allowed, ", "))
	})
}
