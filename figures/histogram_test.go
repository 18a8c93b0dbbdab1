package figures

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{0, 10 * time.Microsecond, 11 * time.Microsecond, 10 * time.Second, time.Minute} {
		h.Observe(d)
	}
	before := h.Times()
	if before.Count != 5 || before.Sum != 70*time.Second+21*time.Microsecond {
		t.Errorf("count %d, sum %v", before.Count, before.Sum)
	}
	if last := len(before.Counts) - 1; before.Counts[0] != 2 || before.Counts[1] != 1 || before.Counts[last] != 1 || before.Bounds[last] != 10*time.Second {
		t.Errorf("counts %v below %v", before.Counts, before.Bounds)
	}
	h.ObserveAll(time.Millisecond, 3)
	after := h.Times()
	if since := after.Since(before); since.Count != 3 || since.Sum != 3*time.Millisecond || since.Quantile(1) != time.Millisecond {
		t.Errorf("since: %+v", since)
	}
	if both := (Times{}).Plus(after).Plus(before); both.Count != 13 || both.Counts[0] != 4 {
		t.Errorf("plus: %+v", both)
	}
}

func TestQuantile(t *testing.T) {
	times := Times{
		Count:  100,
		Bounds: []time.Duration{time.Millisecond, 10 * time.Millisecond},
		Counts: []uint64{90, 9},
	}
	for q, want := range map[float64]time.Duration{
		0.45: 500 * time.Microsecond, 0.9: time.Millisecond, 0.99: 10 * time.Millisecond, 1: 10 * time.Millisecond,
	} {
		if got := times.Quantile(q); got != want {
			t.Errorf("the %v-quantile is %v, want %v", q, got, want)
		}
	}
	if got := (Times{}).Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// TestThinned compares a histogram of many bounds, thinned, with what went into
// it.
func TestThinned(t *testing.T) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Buckets: prometheus.ExponentialBucketsRange(1e5, 1e10, 100)})
	observed := []time.Duration{
		30 * time.Microsecond, 150 * time.Microsecond, 700 * time.Microsecond, 3 * time.Millisecond,
		77 * time.Millisecond, 9 * time.Second, time.Minute,
	}
	for _, d := range observed {
		h.Observe(float64(d))
	}
	var metric dto.Metric
	if err := h.Write(&metric); err != nil {
		t.Fatal(err)
	}
	s := TimesOf(metric.GetHistogram(), time.Nanosecond).Thinned()
	if n := len(s.Bounds); n < 15 || n > 30 || s.Bounds[0] != 100*time.Microsecond || s.Bounds[n-1].Round(time.Millisecond) != 10*time.Second {
		t.Errorf("%d bounds: %v", n, s.Bounds)
	}
	counts := make([]uint64, len(s.Bounds))
	for _, d := range observed {
		if i, _ := slices.BinarySearch(s.Bounds, d); i < len(counts) {
			counts[i]++
		}
	}
	if s.Count != uint64(len(observed)) || !slices.IsSorted(s.Bounds) || !slices.Equal(s.Counts, counts) {
		t.Errorf("count %d, counts %v, want %v below %v", s.Count, s.Counts, counts, s.Bounds)
	}
}

// What one package declares another reads by name.
func TestDeclaredAndRead(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{})
	samples, err := Gather(registry)
	if err != nil {
		t.Fatal(err)
	}
	type inner struct {
		Written int64   `metric:"test_written_total{purpose=b}"`
		P99     float64 `metric:"test_wait_seconds 0.99"`
		Waits   uint64  `metric:"test_wait_seconds count"`
		Waited  float64 `metric:"test_wait_seconds sum"`
	}
	got := struct {
		inner
		At     time.Time
		Full   bool  `metric:"test_full"`
		Size   int64 `metric:"test_bytes"`
		Absent int64 `metric:"test_absent"`
	}{Absent: 7}
	samples.Fill(&got)
	if got.Written != 2 || got.P99 <= 0.002 || got.P99 > 0.0025 || got.Waits != 1 || got.Waited != 0.002 || !got.Full || got.Size != 5 || got.Absent != 7 {
		t.Errorf("%+v", got)
	}
}

// collector has one figure of each kind.
type collector struct{}

var tested = Set[int64]{
	Gauge("test_bytes", "A gauge.", func(n int64) int64 { return n }),
	Flag("test_full", "A flag.", func(n int64) bool { return n > 0 }),
	Counter("test_written_total", "A counter.", func(int64) int64 { return 1 }).With("purpose", "a"),
	Counter("test_written_total", "A counter.", func(int64) int64 { return 2 }).With("purpose", "b"),
	Timing("test_wait_seconds", "A timing.", func(int64) Times {
		var h Histogram
		h.Observe(2 * time.Millisecond)
		return h.Times()
	}),
}

func (collector) Describe(ch chan<- *prometheus.Desc) { tested.Describe(ch) }
func (collector) Collect(ch chan<- prometheus.Metric) { tested.Collect(ch, 5) }
