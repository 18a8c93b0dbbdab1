package admincli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"cairn/adminapi"
	"cairn/memory"
)

// printJSON writes v on several lines.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table aligns columns. Rows are written when it is flushed.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)} }

func (t table) row(columns ...any) {
	for i, c := range columns {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, c)
	}
	fmt.Fprintln(t)
}

// size writes a number of bytes.
func size(bytes int64) string { return memory.Size(bytes) }

// count writes a number with its thousands apart.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// span writes a length of time to two units.
func span(d time.Duration) string {
	if d < 0 {
		return "0s"
	}
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d >= time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Microsecond).String()
}

// secondsSpan is span for a number of seconds.
func secondsSpan(s float64) string {
	const longest = 290 * 365 * 24 * 3600
	return span(time.Duration(min(s, longest) * float64(time.Second)))
}

// timeLeft says when a session expires.
func timeLeft(s *adminapi.Session) string {
	if s.TTLSeconds == nil {
		return "never"
	}
	return secondsSpan(*s.TTLSeconds)
}

// moment writes an instant in local time.
func moment(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}
