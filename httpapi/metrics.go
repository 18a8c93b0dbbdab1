package httpapi

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cairn/figures"
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
	own := prometheus.NewRegistry()
	own.MustRegister(
		collectors.NewGoCollector(),
		s.requests.total,
		s.requests.duration,
		serverCollector{s},
	)
	return promhttp.HandlerFor(prometheus.Gatherers{s.figures, own}, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: 4,
		EnableOpenMetrics:   true,
	})
}

// declared are the figures of the server itself.
var declared = figures.Set[*Server]{
	figures.Flag("cairn_ready", "1 if /readyz answers that the server takes traffic.", (*Server).ready),
}

var buildDesc = prometheus.NewDesc("cairn_build_info",
	"Always 1; says what is running.", []string{"version", "goversion"}, nil)

// serverCollector has the figures of a server.
type serverCollector struct{ server *Server }

func (c serverCollector) Describe(ch chan<- *prometheus.Desc) {
	declared.Describe(ch)
	ch <- buildDesc
}

func (c serverCollector) Collect(ch chan<- prometheus.Metric) {
	declared.Collect(ch, c.server)
	ch <- prometheus.MustNewConstMetric(buildDesc, prometheus.GaugeValue, 1, c.server.options.Version, runtime.Version())
}
