package report_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/bench/report"
)

func example() *report.Report {
	return &report.Report{
		Title: "Cairn & peers", Started: time.Unix(1_790_000_000, 0).UTC(), Took: "1m", Command: "cairn-bench --quick",
		Facts:   []report.Fact{{Name: "cores", Value: "2"}},
		Servers: []report.Server{{Name: "memcached", Version: "1.6", Command: "memcached -p 1"}},
		Sections: []report.Section{{
			Title: "get", Summary: "Gets <all> sessions.", Notes: []string{"a note"},
			Tables: []report.Table{{Columns: []string{"server", "ops/s"}, Rows: [][]string{{"cairn", "100k"}, {"µ", "1"}}}},
			Plots: []report.Plot{
				{Title: "a < b", XLabel: "x", YLabel: "y", LogX: true, LogY: true, Lines: []report.Line{
					{Name: "cairn & co", Points: []report.Point{{X: 0, Y: 1}, {X: 10, Y: 1}, {X: 1e7, Y: 1}}}, {Name: "none"},
				}},
				{Title: "curve", Percentiles: true, Lines: []report.Line{
					{Name: "l", Points: []report.Point{{X: 0, Y: 1}, {X: 99.9, Y: 5}, {X: 100, Y: 9}}},
				}},
				{Title: "empty"},
			},
		}},
	}
}

func TestMarkdown(t *testing.T) {
	const want = `# Cairn & peers

Mon, 21 Sep 2026 14:13:20 UTC, took 1m

    cairn-bench --quick

- cores: 2

- memcached, version 1.6: ` + "`memcached -p 1`" + `

## get

Gets <all> sessions.

| server | ops/s |
|--------|------:|
| cairn  |  100k |
| µ      |     1 |

- a note
`
	if got := example().Markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := example().Write(dir); err != nil {
		t.Fatal(err)
	}
	page := read(t, filepath.Join(dir, "report.html"))
	for _, want := range []string{"Cairn &amp; peers", "Gets &lt;all&gt; sessions.", "<td>100k</td>", "a &lt; b", "99.9"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "http://") && !strings.Contains(page, "http://www.w3.org") {
		t.Error("the page refers to something else")
	}
	var back report.Report
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "results.json"))), &back); err != nil || back.Sections[0].Title != "get" {
		t.Errorf("results.json: %v", err)
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	for _, plot := range example().Sections[0].Plots {
		svg, err := plot.SVG()
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", plot.Title, err)
			}
		}
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%s: the drawing holds no numbers", plot.Title)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{report.Quantity(0), "0"}, {report.Quantity(0.1234), "0.123"}, {report.Quantity(999), "999"},
		{report.Quantity(1000), "1k"}, {report.Quantity(123456), "123k"}, {report.Quantity(1.5e6), "1.5M"},
		{report.Bytes(512), "512 B"}, {report.Bytes(1 << 20), "1 MiB"}, {report.Bytes(1500 << 20), "1.46 GiB"},
		{report.Duration(850 * time.Nanosecond), "0.85 µs"}, {report.Duration(12345 * time.Microsecond), "12.3 ms"},
		{report.Duration(90 * time.Second), "90 s"}, {report.Ratio(1.155), "1.16"}, {report.Ratio(math.NaN()), "-"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
