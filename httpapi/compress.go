package httpapi

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// minCompressed is the smallest answer that is worth compressing, in bytes.
const minCompressed = 1 << 10

// compressFigures compresses answers for clients that accept gzip: the console's
// files, the description of the API, and figures. The length of a compressed
// answer tells something about what is in it, so answers with keys, values or
// users are never compressed: whoever can have text of theirs in such an answer
// and see how long it is could guess the rest of it (BREACH). Streams are
// compressed already or are such answers, and /metrics compresses by itself.
func compressFigures(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.ContentTypes([]string{
		"application/json", "application/openapi+json", "application/openapi+yaml",
		"text/html", "text/css", "text/javascript", "image/svg+xml",
	}))
	if err != nil {
		panic(err) // the options are constants
	}
	compressed := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isCompressed(r.URL.Path) {
			compressed.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isCompressed reports whether answers at path may be compressed: nothing in them
// is secret, or nothing in them is of a client's making.
func isCompressed(path string) bool {
	switch path {
	case "/v1/stats", "/v1/forecast", "/v1/history":
		return true
	case "/metrics", "/livez", "/readyz":
		return false
	}
	return !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/debug/")
}
