// Package console serves the operator's page: plain HTML, CSS and JavaScript
// modules embedded in the binary. The page speaks to the HTTP API it is served
// beside and to nothing else.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"sync"
	"time"
)

//go:embed static
var static embed.FS

// policy allows the page's own files and nothing else: no inline code or
// style, no other host, no frames, and no markup built from strings.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is one embedded file, ready to be served.
type file struct {
	content     []byte
	contentType string
	etag        string

	make func() []byte // makes content when it is first asked for; nil: it is there
	once sync.Once
}

// Handler serves the page at "/", its files below it and the documentation below
// "/docs/". Every other path is 404.
func Handler() http.Handler {
	files := load()
	maps.Copy(files, manual())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		if name == "/" {
			name = "/index.html"
		}
		f, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		f.once.Do(func() {
			if f.make != nil {
				f.content = f.make()
			}
		})
		f.serve(w, r)
	})
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-cache") // ask again, by ETag: an upgrade shows at once
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// load reads the embedded files by the path that they are served at.
func load() map[string]*file {
	files := make(map[string]*file)
	root, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		files["/"+name] = &file{
			content:     content,
			contentType: contentType(name),
			etag:        `W/"` + hex.EncodeToString(sum[:8]) + `"`, // weak: the bytes may go out compressed
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return files
}

// contentType does not leave scripts and styles to the machine's mime tables.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mime.TypeByExtension(ext)
	}
}
