package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Quantity writes a number with three significant digits and k, M or G.
func Quantity(n float64) string {
	unit := ""
	for _, u := range []string{"k", "M", "G"} {
		if math.Abs(n) < 999.5 {
			break
		}
		n, unit = n/1000, u
	}
	return significant(n) + unit
}

// Bytes writes a size in units of 1024.
func Bytes(n int64) string {
	size, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(size) < 1000 {
			break
		}
		size, unit = size/1024, u
	}
	return significant(size) + " " + unit
}

// Duration writes a time with three significant digits.
func Duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return significant(float64(d)/1e3) + " µs"
	case d < time.Second:
		return significant(float64(d)/1e6) + " ms"
	}
	return significant(float64(d)/1e9) + " s"
}

// Ratio writes a quotient, "-" if there is none.
func Ratio(r float64) string {
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return "-"
	}
	return fmt.Sprintf("%.2f", r)
}

// significant writes n with three significant digits, and no zeros behind them.
func significant(n float64) string {
	if n == 0 {
		return "0"
	}
	decimals := max(2-int(math.Floor(math.Log10(math.Abs(n)))), 0)
	text := strconv.FormatFloat(n, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
