package report

import (
	"fmt"
	"strings"
	"time"
)

// Markdown returns the report without its plots.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s, took %s\n\n", r.Title, r.Started.Format(time.RFC1123), r.Took)
	fmt.Fprintf(&b, "    %s\n\n", r.Command)
	for _, fact := range r.Facts {
		fmt.Fprintf(&b, "- %s: %s\n", fact.Name, fact.Value)
	}
	b.WriteString("\n")
	for _, s := range r.Servers {
		fmt.Fprintf(&b, "- %s, version %s: `%s`\n", s.Name, s.Version, s.Command)
	}
	for _, s := range r.Sections {
		s.markdown(&b)
	}
	return b.String()
}

func (s *Section) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", s.Title, s.Summary)
	for _, table := range s.Tables {
		b.WriteString("\n")
		table.markdown(b)
	}
	if len(s.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, note := range s.Notes {
		fmt.Fprintf(b, "- %s\n", note)
	}
}

// markdown writes the table with aligned columns: the first to the left, the
// others to the right.
func (t *Table) markdown(b *strings.Builder) {
	if t.Title != "" {
		fmt.Fprintf(b, "%s\n\n", t.Title)
	}
	widths := make([]int, len(t.Columns))
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)), 2)
		}
	}
	write := func(row []string) {
		for i, width := range widths {
			pad := strings.Repeat(" ", width-len([]rune(row[i])))
			if i == 0 {
				fmt.Fprintf(b, "| %s%s ", row[i], pad)
			} else {
				fmt.Fprintf(b, "| %s%s ", pad, row[i])
			}
		}
		b.WriteString("|\n")
	}
	write(t.Columns)
	for i, width := range widths {
		if i == 0 {
			fmt.Fprintf(b, "|%s", strings.Repeat("-", width+2))
		} else {
			fmt.Fprintf(b, "|%s:", strings.Repeat("-", width+1))
		}
	}
	b.WriteString("|\n")
	for _, row := range t.Rows {
		write(row)
	}
}
