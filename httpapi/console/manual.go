package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"cairn/docs"
)

// manualRoot is where the documentation is served, a page at its name without
// ".md".
const manualRoot = "/docs/"

// markdown turns pages into HTML without styles and scripts, as policy wants it.
var markdown = goldmark.New(
	goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))),
	goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(relink{}, 100))),
)

// relink makes links between pages lead to where they are served, and takes away
// those to files that are not.
type relink struct{}

// Transform is parser.ASTTransformer's.
func (relink) Transform(document *ast.Document, reader text.Reader, _ parser.Context) {
	var dead []*ast.Link
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if link, ok := n.(*ast.Link); ok && entering {
			if to, ok := servedAt(string(link.Destination)); ok {
				link.Destination = []byte(to)
			} else {
				dead = append(dead, link)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, link := range dead {
		parent := link.Parent()
		for child := link.FirstChild(); child != nil; child = link.FirstChild() {
			parent.InsertBefore(parent, link, child)
		}
		parent.RemoveChild(parent, link)
	}
}

// servedAt returns where a link of a page leads to, if that is served.
func servedAt(destination string) (string, bool) {
	if strings.HasPrefix(destination, "#") || strings.HasPrefix(destination, "https://") {
		return destination, true
	}
	name, fragment, _ := strings.Cut(destination, "#")
	if _, err := docs.Pages.Open(name); err != nil {
		return "", false
	}
	to := manualRoot + strings.TrimSuffix(name, ".md")
	if fragment != "" {
		to += "#" + fragment
	}
	return to, true
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{{.Title}} · Cairn</title>
  <link rel="icon" href="/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/css/base.css">
  <link rel="stylesheet" href="/css/manual.css">
</head>
<body class="manual">
  <nav aria-label="Documentation"><a href="/">Console</a> <a href="/docs/README">Documentation</a></nav>
  <main>
{{.Body}}  </main>
</body>
</html>
`))

var title = regexp.MustCompile(`(?m)^# (.+)$`)

// manual makes the files of the documentation, by the path that they are served
// at.
func manual() map[string]*file {
	files := make(map[string]*file)
	entries, err := docs.Pages.ReadDir(".")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	for _, entry := range entries {
		source, err := docs.Pages.ReadFile(entry.Name())
		if err != nil {
			panic(err)
		}
		f := &file{contentType: contentType(".html")}
		f.make = func() []byte { return render(source) }
		sum := sha256.Sum256(source)
		f.etag = `"` + hex.EncodeToString(sum[:8]) + `"`
		files[manualRoot+strings.TrimSuffix(entry.Name(), path.Ext(entry.Name()))] = f
	}
	return files
}

// render makes a page of Markdown a page of HTML. Markup in it is left out.
func render(source []byte) []byte {
	var body, whole bytes.Buffer
	if err := markdown.Convert(source, &body); err != nil {
		return []byte(http.StatusText(http.StatusInternalServerError))
	}
	name := "Documentation"
	if m := title.FindSubmatch(source); m != nil {
		name = string(m[1])
	}
	// The body is the renderer's, from pages that are part of the program.
	content := struct {
		Title string
		Body  template.HTML
	}{name, template.HTML(body.String())}
	if err := page.Execute(&whole, content); err != nil {
		return []byte(http.StatusText(http.StatusInternalServerError))
	}
	return whole.Bytes()
}
