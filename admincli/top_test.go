package admincli

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"cairn/adminapi"
)

var sequence = regexp.MustCompile("\x1b\\[[0-9;]*m")

func examplePicture() *picture {
	ratio := 0.987
	p := &picture{base: "http://127.0.0.1:8211", trouble: "none", width: 100, height: 50, colour: true,
		stats: &adminapi.Stats{Uptime: 3700, Process: adminapi.ProcessStats{Processors: 4}}}
	for i := range 50 {
		p.history = append(p.history, activity{
			Seconds: 2, Requests: float64(i * 100), HitRatio: &ratio, Connections: 12, ConnLimit: 1024, Processor: 0.5, Memory: 300 << 20,
			Verbs: []verbActivity{{Verb: "get", Requests: 10, P50: 0.0002, P99: 0.06, P999: 0.12}},
		})
	}
	return p
}

// No line is wider than the terminal, and none is below it.
func TestPictureFitsTheTerminal(t *testing.T) {
	p := examplePicture()
	for _, p.colour = range []bool{false, true} {
		for _, p.width = range []int{1, 10, 24, 26, 40, 80, 132, 400} {
			for _, p.height = range []int{1, 2, 5, 24, 60} {
				lines := p.lines()
				if len(lines) > max(p.height-1, 1) {
					t.Errorf("%d lines in a terminal of %d", len(lines), p.height)
				}
				for _, line := range lines {
					shown := sequence.ReplaceAllString(line, "")
					if utf8.RuneCountInString(shown) > p.width || strings.ContainsAny(shown, "\x1b\n\r\t") {
						t.Errorf("%q in a terminal of %d", line, p.width)
					}
					if !p.colour && shown != line {
						t.Errorf("%q has colours", line)
					}
				}
			}
		}
	}
}

func TestPicture(t *testing.T) {
	p := examplePicture()
	p.trouble = "read-only"
	all := strings.Join(p.lines(), "\n")
	for _, part := range []string{
		red + "! read-only" + plain,
		bold + "       4,900 " + plain, // requests a second, now
		"q quits", "0.50 cores", "300 MiB", "98.7%", "1,024",
		yellow + "       60ms" + plain, red + "      120ms" + plain,
	} {
		if !strings.Contains(all, part) {
			t.Errorf("no %q in\n%s", part, all)
		}
	}
	p.width = 40
	narrow := sequence.ReplaceAllString(strings.Join(p.lines(), "\n"), "")
	for _, name := range []string{"hit ratio", "out/s", "fsync takes"} {
		if !strings.Contains(narrow, name) {
			t.Errorf("a narrow terminal lacks %q:\n%s", name, narrow)
		}
	}
}

func TestSparkline(t *testing.T) {
	for _, test := range []struct {
		values []float64
		width  int
		want   string
	}{
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7, 8}, 9, "▁▂▃▄▅▆▇██"},
		{[]float64{9, 0, 4}, 2, "▁█"}, // the newest, by their own largest
		{[]float64{0, 0}, 5, "▁▁"},
		{[]float64{5, -1}, 5, "█▁"},
		{[]float64{5}, 0, ""},
		{[]float64{5}, -3, ""},
	} {
		if got := sparkline(test.values, test.width); got != test.want {
			t.Errorf("%v in %d: %q, want %q", test.values, test.width, got, test.want)
		}
	}
}

func TestKeysThatQuit(t *testing.T) {
	for keys, want := range map[string]bool{"q": true, "xyzQ": true, "\x03": true, "\x04": true, "": false, "xyz\r": false} {
		if got := awaitQuit(strings.NewReader(keys)); got != want {
			t.Errorf("%q: %v", keys, got)
		}
	}
}

// The processor's time is what the server says that it has computed.
func TestActivityOfTheProcess(t *testing.T) {
	before := &adminapi.Stats{Uptime: 10, Memcached: map[string]string{"rusage_user": "1.5", "rusage_system": "0.5"}}
	now := &adminapi.Stats{Uptime: 12, Process: adminapi.ProcessStats{SysBytes: 1 << 20},
		Memcached: map[string]string{"rusage_user": "3.5", "rusage_system": "1.5", "max_connections": "77"}}
	a := newActivity(before, now)
	if a.Processor != 1.5 || a.Memory != 1<<20 || a.ConnLimit != 77 {
		t.Errorf("%+v", a)
	}
	if again := newActivity(now, before); again.Processor != 0 { // a new process began again
		t.Errorf("%+v", again)
	}
	if !slices.Equal(a.Verbs, []verbActivity{}) {
		t.Errorf("%+v", a.Verbs)
	}
}
