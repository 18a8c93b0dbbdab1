// Package report writes what a benchmark measured: Markdown and JSON to keep,
// and one self-contained HTML page with plots to look at.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Report is a whole run.
type Report struct {
	Title    string    `json:"title"`
	Started  time.Time `json:"started"`
	Took     string    `json:"took"`
	Command  string    `json:"command"` // that reproduces it
	Facts    []Fact    `json:"facts"`   // about the machine and the settings
	Servers  []Server  `json:"servers"`
	Sections []Section `json:"sections"`
}

// Fact is a circumstance of the run.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Server is one of those compared.
type Server struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Command string `json:"command"`
}

// Section is about one workload.
type Section struct {
	Title   string   `json:"title"`
	Summary string   `json:"summary"` // what was done
	Tables  []Table  `json:"tables"`
	Plots   []Plot   `json:"plots"`
	Notes   []string `json:"notes"` // what the reader must know about the figures
	Data    any      `json:"data"`  // everything measured, round by round
}

// Table has a heading, and a name in the first cell of each row.
type Table struct {
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// Plot is a diagram of lines. A logarithmic axis needs positive values.
type Plot struct {
	Title  string `json:"title"`
	XLabel string `json:"xLabel"`
	YLabel string `json:"yLabel"`
	LogX   bool   `json:"logX"`
	LogY   bool   `json:"logY"`
	// Percentiles makes X, in percent, stretch towards 100 as latency curves
	// do: 90, 99, 99.9 are equally far apart.
	Percentiles bool   `json:"percentiles"`
	Lines       []Line `json:"lines"`
}

// Line is one of a plot's.
type Line struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is one of a line's.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Write puts report.md, report.html and results.json into dir, which it makes.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for name, content := range map[string][]byte{
		"report.md": []byte(r.Markdown()), "report.html": page, "results.json": data,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
