// Package figures is how a package declares what it counts: once, beside the
// counter, as a metric with its name, unit and meaning. Everything that shows
// figures (/metrics, the HTTP API and with it the console and the command line)
// reads them by name from there.
package figures

import "github.com/prometheus/client_golang/prometheus"

// Figure is one number of a T, declared.
type Figure[T any] struct {
	name, help string
	labels     prometheus.Labels
	desc       *prometheus.Desc
	metric     func(desc *prometheus.Desc, of T) prometheus.Metric
}

// number is what figures are counted in.
type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func constant[T any, N number](kind prometheus.ValueType, name, help string, value func(T) N) Figure[T] {
	f := Figure[T]{name: name, help: help, metric: func(desc *prometheus.Desc, of T) prometheus.Metric {
		return prometheus.MustNewConstMetric(desc, kind, float64(value(of)))
	}}
	return f.described()
}

// Gauge declares a number that goes up and down.
func Gauge[T any, N number](name, help string, value func(T) N) Figure[T] {
	return constant(prometheus.GaugeValue, name, help, value)
}

// Counter declares a number that only grows; its name ends in _total.
func Counter[T any, N number](name, help string, value func(T) N) Figure[T] {
	return constant(prometheus.CounterValue, name, help, value)
}

// Flag declares a gauge that is 1 while something holds and 0 otherwise.
func Flag[T any](name, help string, holds func(T) bool) Figure[T] {
	return Gauge(name, help, func(of T) int {
		if holds(of) {
			return 1
		}
		return 0
	})
}

// Timing declares how long something took; its name ends in _seconds.
func Timing[T any](name, help string, value func(T) Times) Figure[T] {
	f := Figure[T]{name: name, help: help, metric: func(desc *prometheus.Desc, of T) prometheus.Metric {
		return value(of).Metric(desc)
	}}
	return f.described()
}

// With returns the figure as the one of its name with these labels, names and
// values in turn.
func (f Figure[T]) With(labels ...string) Figure[T] {
	f.labels = prometheus.Labels{}
	for i := 0; i+1 < len(labels); i += 2 {
		f.labels[labels[i]] = labels[i+1]
	}
	return f.described()
}

func (f Figure[T]) described() Figure[T] {
	f.desc = prometheus.NewDesc(f.name, f.help, nil, f.labels)
	return f
}

// Set is all that a package has declared of a T.
type Set[T any] []Figure[T]

// Describe sends the descriptions, as a prometheus.Collector does.
func (s Set[T]) Describe(ch chan<- *prometheus.Desc) {
	for i := range s {
		ch <- s[i].desc
	}
}

// Collect sends the figures of one T.
func (s Set[T]) Collect(ch chan<- prometheus.Metric, of T) {
	for i := range s {
		ch <- s[i].metric(s[i].desc, of)
	}
}
