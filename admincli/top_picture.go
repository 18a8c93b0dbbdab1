package admincli

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cairn/adminapi"
)

// keptActivity is how many intervals a sparkline can show.
const keptActivity = 240

// latencies from which a percentile is marked, in seconds: clients of Java give up
// after 100 ms.
const slowLatency, badLatency = 0.05, 0.1

// picture is what top shows on a terminal.
type picture struct {
	base    string     // of the server
	history []activity // oldest first, the present one last
	trouble string     // "none", or what is wrong
	stats   *adminapi.Stats

	width, height int // of the terminal, in characters
	colour        bool
}

// styles of terminals (ECMA-48).
const (
	plain  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
)

// styled is a piece of a line in a style; "" is none.
type styled struct{ style, text string }

// lines returns the picture, no line wider and no more lines than the terminal.
func (p *picture) lines() []string {
	now := &p.history[len(p.history)-1]
	var all [][]styled
	add := func(spans ...styled) { all = append(all, spans) }
	add(styled{bold, "cairn"}, styled{"", fmt.Sprintf(" at %s, up %s, every %s ", p.base, secondsSpan(p.stats.Uptime), secondsSpan(now.Seconds))}, styled{dim, " q quits"})
	if p.trouble != "none" {
		add(styled{red, "! " + p.trouble})
	}
	add()
	p.addGraphs(add)
	add()
	p.addFigures(now, add)
	add()
	p.addVerbs(now, add)
	texts := make([]string, 0, len(all))
	for _, spans := range all[:min(len(all), max(p.height-1, 1))] {
		texts = append(texts, p.line(spans))
	}
	return texts
}

// addGraphs draws what changes by the second.
func (p *picture) addGraphs(add func(...styled)) {
	graph := func(name, value, style string, of func(*activity) float64) {
		values := make([]float64, len(p.history))
		for i := range p.history {
			values[i] = of(&p.history[i])
		}
		add(styled{dim, fmt.Sprintf("%-11s", name)}, styled{style, fmt.Sprintf("%12s ", value)}, styled{cyan, sparkline(values, p.width-25)})
	}
	now := &p.history[len(p.history)-1]
	graph("requests/s", count(int64(now.Requests)), bold, func(a *activity) float64 { return a.Requests })
	graph("slowest p99", secondsSpan(slowest(now)), styleOf(slowest(now)), slowest)
	graph("processor", fmt.Sprintf("%.2f cores", now.Processor), "", func(a *activity) float64 { return a.Processor })
	graph("memory", size(now.Memory), "", func(a *activity) float64 { return float64(a.Memory) })
}

// addFigures writes figures in as many columns as fit.
func (p *picture) addFigures(now *activity, add func(...styled)) {
	const nameWidth, valueWidth, gap = 12, 11, 3
	figures := [][2]string{
		{"hit ratio", share(now.HitRatio)}, {"sessions", count(now.Sessions)}, {"disk", size(now.Disk)},
		{"from memory", share(now.CacheRatio)}, {"stored/s", count(int64(now.Stored))}, {"disk free", size(p.stats.Disk.FreeBytes)},
		{"connections", count(now.Connections)}, {"expired/s", count(int64(now.Expired))}, {"written/s", size(int64(now.Written))},
		{"of at most", count(now.ConnLimit)}, {"fsyncs/s", count(int64(now.Fsyncs))}, {"fsync takes", secondsSpan(now.FsyncTime)},
		{"in/s", size(int64(now.BytesIn))}, {"out/s", size(int64(now.BytesOut))}, {"cores", count(int64(p.stats.Process.Processors))},
	}
	columns := min(max((p.width+gap)/(nameWidth+valueWidth+gap), 1), 3)
	for row := range slices.Chunk(figures, columns) {
		var spans []styled
		for _, f := range row {
			spans = append(spans, styled{dim, fmt.Sprintf("%-*s", nameWidth, f[0])}, styled{"", fmt.Sprintf("%*s%*s", valueWidth, f[1], gap, "")})
		}
		add(spans...)
	}
}

func (p *picture) addVerbs(now *activity, add func(...styled)) {
	add(styled{bold, fmt.Sprintf("%-12s%12s%11s%11s%11s", "VERB", "PER SECOND", "P50", "P99", "P99.9")})
	for _, v := range now.Verbs {
		add(styled{"", fmt.Sprintf("%-12s%12s", v.Verb, count(int64(v.Requests)))},
			latency(v.P50), latency(v.P99), latency(v.P999))
	}
}

func latency(seconds float64) styled {
	return styled{styleOf(seconds), fmt.Sprintf("%11s", secondsSpan(seconds))}
}

func styleOf(seconds float64) string {
	switch {
	case seconds >= badLatency:
		return red
	case seconds >= slowLatency:
		return yellow
	}
	return ""
}

// slowest returns the largest p99 of all verbs, in seconds.
func slowest(a *activity) float64 {
	var most float64
	for _, v := range a.Verbs {
		most = max(most, v.P99)
	}
	return most
}

// line joins spans, cut to the width of the terminal.
func (p *picture) line(spans []styled) string {
	var b strings.Builder
	left := p.width
	for _, s := range spans {
		text := s.text
		if utf8.RuneCountInString(text) > left {
			text = string([]rune(text)[:left])
		}
		left -= utf8.RuneCountInString(text)
		if text == "" {
			continue
		}
		if p.colour && s.style != "" {
			text = s.style + text + plain
		}
		b.WriteString(text)
	}
	return b.String()
}

// sparkline draws the newest values in at most width characters, the largest of
// them as the highest.
func sparkline(values []float64, width int) string {
	const bars = "▁▂▃▄▅▆▇█"
	if width <= 0 {
		return ""
	}
	values = values[max(len(values)-width, 0):]
	most := slices.Max(values)
	var b strings.Builder
	for _, v := range values {
		level := 0
		if most > 0 {
			level = min(int(max(v, 0)/most*8), 7)
		}
		b.WriteRune([]rune(bars)[level])
	}
	return b.String()
}
