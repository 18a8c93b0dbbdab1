package history

import (
	"math"
	"strings"
	"time"

	"cairn/figures"
)

// Figure is one of the figures that are kept over time.
type Figure struct {
	Name string // lower case, such as hit_ratio; never used for another meaning
	Unit string // such as bytes, seconds, per_second; "" for a number
	Help string
	Max  bool // samples are joined by their largest, not by their mean
}

// moment has what was counted until then.
type moment struct {
	time    time.Time
	samples figures.Samples // nil: nothing is known
}

// interval is what lies between two moments.
type interval struct{ before, now moment }

func (i *interval) seconds() float64 { return i.now.time.Sub(i.before.time).Seconds() }

// column is how a figure comes from what packages declare. of returns NaN for
// what is not known.
type column struct {
	Figure
	of func(*interval) float64
}

// fsyncs are those of the log: the engine's own, or the one that a node of a cluster
// has instead.
var fsyncs = []string{"cairn_wal_fsync_duration_seconds", "cairn_log_sync_seconds"}

var columns = []column{
	gauge("sessions", "", "Live sessions.", "cairn_sessions"),
	gauge("session_bytes", "bytes", "Keys and uncompressed values of live sessions.", "cairn_session_bytes"),
	gauge("disk_bytes", "bytes", "Files of the store.", "cairn_disk_bytes"),
	gauge("wal_bytes", "bytes", "Write-ahead log.", "cairn_wal_bytes"),
	gauge("free_bytes", "bytes", "Free space of the file system.", "cairn_filesystem_free_bytes"),
	rate("gets", "per_second", "Commands that read a session.", "cairn_commands_total{command=get}"),
	rate("sets", "per_second", "Commands that store a session.", "cairn_commands_total{command=set}"),
	rate("touches", "per_second", "Commands that change an expiry.", "cairn_commands_total{command=touch}"),
	rate("deletes", "per_second", "Commands that delete a session.", "cairn_commands_total{command=delete}"),
	rate("others", "per_second", "Other commands: arithmetic and meta commands.",
		"cairn_commands_total{command=incr}", "cairn_commands_total{command=decr}", "cairn_commands_total{command=meta}"),
	ratio("hit_ratio", "Share of gets that found a session.", "cairn_commands_total{command=get,outcome=hit}", "cairn_commands_total{command=get,outcome=miss}"),
	ratio("hot_ratio", "Share of reads that the memory answered.", "cairn_hot_cache_hits_total", "cairn_hot_cache_misses_total"),
	quantile("latency_p50", "Median time from the arrival of a request to its reply.", 0.5, "cairn_request_duration_seconds"),
	quantile("latency_p90", "90 % of requests took at most so long.", 0.9, "cairn_request_duration_seconds"),
	quantile("latency_p99", "99 % of requests took at most so long.", 0.99, "cairn_request_duration_seconds"),
	quantile("latency_p999", "99.9 % of requests took at most so long.", 0.999, "cairn_request_duration_seconds"),
	rate("received_bytes", "bytes_per_second", "Keys and values as clients sent them.", "cairn_user_written_bytes_total"),
	rate("written_bytes", "bytes_per_second", "Written to disk: log, flushes and compactions.", "cairn_disk_written_bytes_total"),
	rate("commits", "per_second", "Batches committed.", "cairn_commits_total"),
	mean("fsync_mean", "Mean time of an fsync of the log.", fsyncs...),
	quantile("fsync_p99", "99 % of fsyncs of the log took at most so long.", 0.99, fsyncs...),
	rate("stalled", "", "Share of the time in which writes waited for flushes or compactions.", "cairn_write_stall_seconds_total"),
	rate("expired", "per_second", "Sessions whose time was over.", "cairn_sessions_expired_total"),
	gauge("connections", "", "Open connections of memcached clients.", "cairn_connections"),
	gauge("memory_bytes", "bytes", "Resident memory of the process.", "process_resident_memory_bytes"),
	rate("cpu", "processors", "Processors that the process kept busy.", "process_cpu_seconds_total"),
}

// Figures lists what is kept, in the order of the values of a Point.
func Figures() []Figure {
	list := make([]Figure, len(columns))
	for i := range columns {
		list[i] = columns[i].Figure
	}
	return list
}

func gauge(name, unit, help, path string) column {
	return column{Figure{Name: name, Unit: unit, Help: help}, func(i *interval) float64 { return total(i.now.samples, path) }}
}

func rate(name, unit, help string, paths ...string) column {
	return column{Figure{Name: name, Unit: unit, Help: help}, func(i *interval) float64 {
		var sum float64
		for _, path := range paths {
			sum += i.added(path)
		}
		return sum / i.seconds()
	}}
}

// ratio is what part of two counters the first one has.
func ratio(name, help, part, rest string) column {
	return column{Figure{Name: name, Help: help}, func(i *interval) float64 {
		p, r := i.added(part), i.added(rest)
		return p / (p + r) // NaN of nothing
	}}
}

func mean(name, help string, paths ...string) column {
	return column{Figure{Name: name, Unit: "seconds", Help: help}, func(i *interval) float64 {
		t := i.timesOf(paths)
		return t.Sum.Seconds() / float64(t.Count)
	}}
}

func quantile(name, help string, q float64, paths ...string) column {
	return column{Figure{Name: name, Unit: "seconds", Help: help, Max: true}, func(i *interval) float64 {
		t := i.timesOf(paths)
		if t.Count == 0 {
			return math.NaN()
		}
		return t.Quantile(q).Seconds()
	}}
}

// added is how much the counters of a path have grown together. NaN: they began
// anew, or there are none.
func (i *interval) added(path string) float64 {
	if d := total(i.now.samples, path) - total(i.before.samples, path); d >= 0 {
		return d
	}
	return math.NaN()
}

// timesOf is what the first histogram that has counted something has counted.
func (i *interval) timesOf(names []string) (t figures.Times) {
	for _, name := range names {
		if t = i.times(name); t.Count > 0 {
			break
		}
	}
	return t
}

// times is what the histograms of a name have counted together.
func (i *interval) times(name string) (t figures.Times) {
	var before figures.Times
	for _, s := range i.before.samples[name] {
		before = before.Plus(s.Times)
	}
	for _, s := range i.now.samples[name] {
		t = t.Plus(s.Times)
	}
	if i.before.samples == nil || t.Count < before.Count {
		return figures.Times{}
	}
	since := t.Since(before)
	since.Count = t.Count - before.Count
	return since
}

// total is the sum of the samples of a path: the name of a figure, and behind it
// perhaps labels, as in cairn_commands_total{command=get,outcome=hit}. NaN: there
// are none.
func total(from figures.Samples, path string) float64 {
	name, labels, _ := strings.Cut(strings.TrimSuffix(path, "}"), "{")
	sum, found := 0.0, false
	for _, s := range from[name] {
		if hasAll(s.Labels, labels) {
			sum, found = sum+s.Value, true
		}
	}
	if !found {
		return math.NaN()
	}
	return sum
}

func hasAll(labels map[string]string, wanted string) bool {
	for want := range strings.SplitSeq(wanted, ",") {
		if key, value, labelled := strings.Cut(want, "="); labelled && labels[key] != value {
			return false
		}
	}
	return true
}
