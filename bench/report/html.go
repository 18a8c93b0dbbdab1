package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"time"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"date": func(t time.Time) string { return t.Format(time.RFC1123) },
	"plot": func(p Plot) (template.HTML, error) {
		svg, err := p.SVG()
		return template.HTML(svg), err // drawn by us, with its texts escaped
	},
	"colour": func(i int) template.CSS {
		c := lineColour(i)
		return template.CSS(fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B))
	},
}).Parse(pageSource))

// HTML returns the report as one page that needs nothing else.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}
