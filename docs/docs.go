// Package docs has the pages for operators, so that the server can show them.
package docs

import "embed"

// Pages are the pages, by file name.
//
//go:embed *.md
var Pages embed.FS
