package session_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"cairn/session"
)

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "7": 7, "007": 7, " 7": 7, "\t\n\v\f\r 7": 7, "+7": 7, " +7": 7, "7 ": 7, "7\r\n": 7, "7 x": 7,
		"7\x00": 7, "7\x00x": 7, "7 \x00": 7, "-0": 0, "-18446744073709551615": 1,
		"18446744073709551615": math.MaxUint64, strings.Repeat("0", 300) + "9": 9,
	} {
		if n, ok := session.ParseNumber([]byte(text)); !ok || n != want {
			t.Errorf("ParseNumber(%q) = %d, %t, want %d", text, n, ok, want)
		}
	}
	for _, text := range []string{
		"", " ", "+", "-", "-1", "- 1", "+ 7", "++7", "7x", "x7", "1.5", "0x10", "1e3", "\x007",
		"18446744073709551616", "18446744073709551620", "99999999999999999999", strings.Repeat("9", 300),
	} {
		if n, ok := session.ParseNumber([]byte(text)); ok {
			t.Errorf("ParseNumber(%q) = %d, want none", text, n)
		}
	}
}

func TestAppendNumber(t *testing.T) {
	for _, c := range []struct {
		n     uint64
		width int
		want  string
	}{
		{0, 0, "0"}, {0, 1, "0"}, {9, 2, "9 "}, {10, 1, "10"}, {math.MaxUint64, 5, "18446744073709551615"},
		{7, 21, "7" + strings.Repeat(" ", 20)}, {7, -1, "7"},
	} {
		if got := string(session.AppendNumber([]byte("x"), c.n, c.width)); got != "x"+c.want {
			t.Errorf("AppendNumber(x, %d, %d) = %q, want %q", c.n, c.width, got, "x"+c.want)
		}
	}
}

// FuzzParseNumber compares ParseNumber with the standard library on what both
// accept, and reads back what AppendNumber writes.
func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"1", " 1", "+1", "1 x", "18446744073709551616", "-1"} {
		f.Add([]byte(seed), 5)
	}
	f.Fuzz(func(t *testing.T, value []byte, width int) {
		n, ok := session.ParseNumber(value)
		if want, err := strconv.ParseUint(string(value), 10, 64); err == nil && (!ok || n != want) {
			t.Errorf("ParseNumber(%q) = %d, %t, want %d", value, n, ok, want)
		}
		if !ok {
			return
		}
		width %= 100
		written := session.AppendNumber(nil, n, width)
		if back, ok := session.ParseNumber(written); !ok || back != n || len(written) < width {
			t.Errorf("%d written as %q and read as %d, %t", n, written, back, ok)
		}
	})
}
