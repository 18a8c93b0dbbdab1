package session_test

import (
	"testing"
	"time"

	"cairn/session"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0s": 0, "90s": 90 * time.Second, "12h": 12 * time.Hour, "30d": 30 * day, "1d12h": 36 * time.Hour, "0d": 0, "1.5h": 90 * time.Minute,
		"106751d": 106751 * day,
	} {
		got, err := session.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
		if again, err := session.ParseDuration(session.FormatDuration(want)); err != nil || again != want {
			t.Errorf("%v is written as %q, which is read as %v, %v", want, session.FormatDuration(want), again, err)
		}
	}
	for _, text := range []string{"", "d", "7", "-1h", "-1d", "1d-1h", "1.5d", "1dd", "106752d", "106751d24h", "99999999999999999999d", "day", "1d "} {
		if got, err := session.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", 12 * time.Hour: "12h", 36 * time.Hour: "1d12h", 30 * day: "30d", 90 * time.Second: "1m30s"} {
		if got := session.FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}
