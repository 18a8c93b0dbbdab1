package owners

import (
	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
)

// Figures count owners and what has become of their sessions.
type Figures struct {
	FiveMinutes, Hour        uint64 // owners active
	Kicked, Limited, Updated uint64
	Complete                 bool
}

var declared = figures.Set[Figures]{
	activeIn("5m", func(f Figures) uint64 { return f.FiveMinutes }),
	activeIn("1h", func(f Figures) uint64 { return f.Hour }),
	ended("kick", func(f Figures) uint64 { return f.Kicked }),
	ended("limit", func(f Figures) uint64 { return f.Limited }),
	figures.Counter("cairn_owners_updated_total", "Sessions whose owner was found anew, because rules have changed.",
		func(f Figures) uint64 { return f.Updated }),
	figures.Flag("cairn_owners_complete", "1 if the owners of all stored sessions are those that the present rules find.",
		func(f Figures) bool { return f.Complete }),
}

func activeIn(window string, count func(Figures) uint64) figures.Figure[Figures] {
	return figures.Gauge("cairn_owners_active", "Users whose sessions were stored or touched lately, to within about one per cent.",
		count).With("window", window)
}

func ended(reason string, count func(Figures) uint64) figures.Figure[Figures] {
	return figures.Counter("cairn_owner_sessions_ended_total", "Sessions ended because of whose they were.", count).With("reason", reason)
}

// Figures returns the present figures.
func (d *Directory) Figures() Figures {
	fiveMinutes, hour := d.active.count(d.options.Store.Now())
	return Figures{
		FiveMinutes: fiveMinutes, Hour: hour,
		Kicked: d.counts.kicked.Load(), Limited: d.counts.limited.Load(), Updated: d.counts.updated.Load(),
		Complete: d.complete.Load(),
	}
}

// Describe and Collect make the Directory a prometheus.Collector.
func (d *Directory) Describe(ch chan<- *prometheus.Desc) { declared.Describe(ch) }

// Collect sends the present figures.
func (d *Directory) Collect(ch chan<- prometheus.Metric) { declared.Collect(ch, d.Figures()) }
