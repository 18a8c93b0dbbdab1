package httpapi

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// frontFigure is one line of memcached's stats as a metric.
type frontFigure struct {
	stat  string
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	label []string // values of the description's labels
}

var (
	commandDesc = prometheus.NewDesc("cairn_commands_total",
		"Commands of memcached clients by kind and, where it has one, outcome.", []string{"command", "outcome"}, nil)
	durationDesc = prometheus.NewDesc("cairn_request_duration_seconds",
		"Time from the arrival of a memcached request to its reply, by verb.", []string{"verb"}, nil)
)

func frontGauge(stat, name, help string) frontFigure {
	return frontFigure{stat: stat, kind: prometheus.GaugeValue, desc: prometheus.NewDesc(name, help, nil, nil)}
}

func frontCounter(stat, name, help string) frontFigure {
	return frontFigure{stat: stat, kind: prometheus.CounterValue, desc: prometheus.NewDesc(name, help, nil, nil)}
}

func command(stat, name, outcome string) frontFigure {
	return frontFigure{stat: stat, kind: prometheus.CounterValue, desc: commandDesc, label: []string{name, outcome}}
}

// frontFigures name the lines of memcached's stats that become metrics.
var frontFigures = []frontFigure{
	frontGauge("curr_connections", "cairn_connections", "Open connections of memcached clients."),
	frontGauge("max_connections", "cairn_connections_limit", "Connections that may be open at once."),
	frontCounter("total_connections", "cairn_connections_opened_total", "Connections accepted from memcached clients."),
	frontCounter("rejected_connections", "cairn_connections_rejected_total", "Connections refused because too many were open."),
	frontCounter("idle_kicks", "cairn_connections_idle_closed_total", "Connections closed because they were idle."),
	frontCounter("bytes_read", "cairn_network_received_bytes_total", "Bytes received from memcached clients."),
	frontCounter("bytes_written", "cairn_network_sent_bytes_total", "Bytes sent to memcached clients."),
	frontCounter("auth_cmds", "cairn_authentications_total", "Authentications of memcached clients, successful or not."),
	frontCounter("auth_errors", "cairn_authentication_failures_total", "Authentications of memcached clients that failed."),
	command("get_hits", "get", "hit"),
	command("get_misses", "get", "miss"),
	command("cmd_set", "set", ""),
	command("touch_hits", "touch", "hit"),
	command("touch_misses", "touch", "miss"),
	command("delete_hits", "delete", "hit"),
	command("delete_misses", "delete", "miss"),
	command("incr_hits", "incr", "hit"),
	command("incr_misses", "incr", "miss"),
	command("decr_hits", "decr", "hit"),
	command("decr_misses", "decr", "miss"),
	command("cas_hits", "cas", "hit"),
	command("cas_misses", "cas", "miss"),
	command("cas_badval", "cas", "badval"),
	command("cmd_meta", "meta", ""),
	command("cmd_flush", "flush", ""),
}

// frontCollector turns the front end's statistics into metrics.
type frontCollector struct{ server *Server }

func (c frontCollector) Describe(ch chan<- *prometheus.Desc) {
	for i := range frontFigures {
		if frontFigures[i].label == nil {
			ch <- frontFigures[i].desc
		}
	}
	ch <- commandDesc
	ch <- durationDesc
}

func (c frontCollector) Collect(ch chan<- prometheus.Metric) {
	stats := map[string]string{}
	c.server.memcached.EachStat(func(name, value string) { stats[name] = value })
	for i := range frontFigures {
		f := &frontFigures[i]
		if v, err := strconv.ParseFloat(stats[f.stat], 64); err == nil {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, v, f.label...)
		}
	}
	for _, l := range c.server.memcached.Latencies() {
		ch <- asHistogram(durationDesc, &l.Histogram, l.Verb)
	}
}
