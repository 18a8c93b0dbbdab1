package memcachedfront

import (
	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
	"cairn/memcachedfront/protocol"
	"cairn/serve"
)

// totals are all counters of a server, summed up.
type totals = [numCounters]uint64

// declared are the figures of memcached's commands that operators see.
var declared = figures.Set[*totals]{
	figures.Counter("cairn_authentications_total", "Authentications of memcached clients, successful or not.", count(authCmds)),
	figures.Counter("cairn_authentication_failures_total", "Authentications of memcached clients that failed.", count(authErrors)),
	commands(getHits, "get", "hit"), commands(getMisses, "get", "miss"),
	commands(cmdSet, "set", ""),
	commands(touchHits, "touch", "hit"), commands(touchMisses, "touch", "miss"),
	commands(deleteHits, "delete", "hit"), commands(deleteMisses, "delete", "miss"),
	commands(incrHits, "incr", "hit"), commands(incrMisses, "incr", "miss"),
	commands(decrHits, "decr", "hit"), commands(decrMisses, "decr", "miss"),
	commands(casHits, "cas", "hit"), commands(casMisses, "cas", "miss"), commands(casBadval, "cas", "badval"),
	commands(cmdMeta, "meta", ""),
	commands(cmdFlush, "flush", ""),
}

func count(which counter) func(*totals) uint64 {
	return func(t *totals) uint64 { return t[which] }
}

func commands(which counter, command, outcome string) figures.Figure[*totals] {
	return figures.Counter("cairn_commands_total",
		"Commands of memcached clients by kind and, where it has one, outcome.",
		count(which)).With("command", command, "outcome", outcome)
}

// durationDesc describes a figure of which there is one per verb that was ever
// asked for.
var durationDesc = prometheus.NewDesc("cairn_request_duration_seconds",
	"Time from the arrival of a memcached request to its reply, by verb.", []string{"verb"}, nil)

// Describe and Collect make the server a prometheus.Collector, with the figures
// of its sockets. Describe needs no open server: s may be nil.
func (s *Server) Describe(ch chan<- *prometheus.Desc) {
	(*serve.Server)(nil).Describe(ch)
	declared.Describe(ch)
	ch <- durationDesc
	ch <- fencedDesc
}

// Collect sends the present figures.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	s.Server.Collect(ch)
	total := s.counters.sum()
	declared.Collect(ch, &total)
	s.collectFences(ch)
	for verb := range protocol.NumVerbs {
		if times := s.latency(verb); times.Count > 0 {
			ch <- times.Metric(durationDesc, verb.String())
		}
	}
}
