package httpapi

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cairn/session"
)

// requestMetrics count the requests of the HTTP API itself.
type requestMetrics struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newRequestMetrics() *requestMetrics {
	return &requestMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_http_requests_total",
			Help: "Requests to the HTTP API by operation and status code.",
		}, []string{"operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cairn_http_request_duration_seconds",
			Help:    "Time that requests to the HTTP API took.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60, 600},
		}, []string{"operation"}),
	}
}

func (m *requestMetrics) observe(operation string, code int, took time.Duration) {
	if operation == "" {
		operation = "other"
	}
	m.total.WithLabelValues(operation, strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(operation).Observe(took.Seconds())
}

// metricsHandler serves all metrics in the formats of Prometheus.
func (s *Server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.requests.total,
		s.requests.duration,
		storeCollector{s},
		frontCollector{s},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: 4,
		EnableOpenMetrics:   true,
	})
}

// figure is one number of session.Stats as a metric.
type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*session.Stats) float64
}

func gauge(name, help string, value func(*session.Stats) float64) figure {
	return figure{desc: prometheus.NewDesc(name, help, nil, nil), kind: prometheus.GaugeValue, value: value}
}

func counter(name, help string, value func(*session.Stats) float64) figure {
	return figure{desc: prometheus.NewDesc(name, help, nil, nil), kind: prometheus.CounterValue, value: value}
}

func asFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// asHistogram gives the cumulative counts by upper bound in seconds.
func asHistogram(desc *prometheus.Desc, h *session.Histogram, labels ...string) prometheus.Metric {
	counts := make(map[float64]uint64, len(h.Bounds))
	for _, b := range cumulative(h) {
		counts[b.LE] = b.Count
	}
	return prometheus.MustNewConstHistogram(desc, h.Count, h.Sum.Seconds(), counts, labels...)
}

var (
	bucketDesc = prometheus.NewDesc("cairn_bucket_disk_bytes",
		"Bytes on disk of one deadline bucket; deadline is in seconds since 1970, or never.", []string{"deadline"}, nil)
	writtenDesc = prometheus.NewDesc("cairn_disk_written_bytes_total",
		"Bytes written to disk, by purpose.", []string{"purpose"}, nil)
	commitDesc = prometheus.NewDesc("cairn_commit_duration_seconds",
		"Time of a batch from when the log got it until it was durable, or with an interval of durability until it was applied.", nil, nil)
	syncDesc = prometheus.NewDesc("cairn_wal_fsync_duration_seconds",
		"Time of an fsync of the write-ahead log.", nil, nil)
	expiredDesc = prometheus.NewDesc("cairn_expired_bucket_bytes",
		"Bytes on disk in buckets whose deadline has passed and which are not yet dropped.", nil, nil)
	readyDesc = prometheus.NewDesc("cairn_ready",
		"1 if /readyz answers that the server takes traffic.", nil, nil)
	buildDesc = prometheus.NewDesc("cairn_build_info",
		"Always 1; says what is running.", []string{"version", "goversion"}, nil)
)

// storeCollector turns the store's statistics into metrics at each scrape.
type storeCollector struct{ server *Server }

func (c storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for i := range storeFigures {
		ch <- storeFigures[i].desc
	}
	for _, d := range []*prometheus.Desc{bucketDesc, writtenDesc, commitDesc, syncDesc, expiredDesc, readyDesc, buildDesc} {
		ch <- d
	}
}

func (c storeCollector) Collect(ch chan<- prometheus.Metric) {
	stats := c.server.engine.Stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for i := range storeFigures {
		send(storeFigures[i].desc, storeFigures[i].kind, storeFigures[i].value(&stats))
	}
	for _, b := range stats.Buckets {
		send(bucketDesc, prometheus.GaugeValue, float64(b.DiskBytes), deadlineLabel(b.Deadline))
	}
	ch <- asHistogram(commitDesc, &stats.CommitTimes)
	ch <- asHistogram(syncDesc, &stats.SyncTimes)
	send(writtenDesc, prometheus.CounterValue, float64(stats.Disk.WALWritten), "wal")
	send(writtenDesc, prometheus.CounterValue, float64(stats.Disk.FlushWritten), "flush")
	send(writtenDesc, prometheus.CounterValue, float64(stats.Disk.CompactionWritten), "compaction")
	send(expiredDesc, prometheus.GaugeValue, float64(expiredBytes(stats.Buckets, c.server.engine.Now())))
	send(readyDesc, prometheus.GaugeValue, asFloat(len(c.server.unreadiness()) == 0))
	send(buildDesc, prometheus.GaugeValue, 1, c.server.options.Version, runtime.Version())
}

func deadlineLabel(deadline session.Time) string {
	if deadline == session.Never {
		return "never"
	}
	return strconv.FormatInt(deadline.Unix(), 10)
}
