package memory

import (
	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
)

// declared are the parts of a plan as operators see them.
var declared = figures.Set[*Plan]{
	part("total", func(p *Plan) int64 { return p.Total }),
	part("hot_cache", func(p *Plan) int64 { return p.Cache }),
	part("buffers", func(p *Plan) int64 { return p.Buffers }),
	part("memtables", func(p *Plan) int64 { return MemtableCount * p.Memtable }),
	part("block_cache", func(p *Plan) int64 { return p.BlockCache }),
	part("go_limit", func(p *Plan) int64 { return p.GoLimit }),
}

func part(name string, value func(*Plan) int64) figures.Figure[*Plan] {
	return figures.Gauge("cairn_memory_plan_bytes", "How --memory-total was divided at the start.", value).With("part", name)
}

// Describe and Collect make the plan a prometheus.Collector.
func (p *Plan) Describe(ch chan<- *prometheus.Desc) { declared.Describe(ch) }

// Collect sends the parts.
func (p *Plan) Collect(ch chan<- prometheus.Metric) { declared.Collect(ch, p) }
