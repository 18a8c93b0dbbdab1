//go:build linux

package bench

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"cairn/bench/load"
	"cairn/bench/peer"
	"cairn/processors"
)

// Round is what one round of traffic measured on one server.
type Round struct {
	Operations int64         `json:"operations"` // a multi-get counts for each key
	Turns      int64         `json:"turns"`
	Unserved   int64         `json:"unserved"` // turns of an open loop
	Elapsed    time.Duration `json:"elapsedNanoseconds"`
	Throughput float64       `json:"operationsPerSecond"`
	TurnRate   float64       `json:"turnsPerSecond"`
	HitRatio   float64       `json:"hitRatio"` // of what was read

	UserCPU   float64 `json:"userMicrosecondsPerOperation"`
	SystemCPU float64 `json:"systemMicrosecondsPerOperation"`
	// KernelCPU is what threads of the kernel took meanwhile, for whomever.
	KernelCPU float64 `json:"kernelThreadsMicrosecondsPerOperation"`
	// Of the time of the round, in processors. A client that is busy all the
	// time is what bounds the throughput, not the server.
	ServerBusy float64 `json:"serverBusy"`
	ClientBusy float64 `json:"clientBusy"`

	RSS     int64 `json:"rssBytes"`
	Disk    int64 `json:"diskBytes"`    // allocated
	Sent    int64 `json:"sentBytes"`    // keys and values that clients stored
	Written int64 `json:"writtenBytes"` // that the server gave to the disk

	Switches float64 `json:"switchesPerOperation"` // of all threads of the server

	Tail    tail               `json:"tail"`
	Latency Latency            `json:"latency"` // of all operations
	Turn    Latency            `json:"turnLatency"`
	Kinds   map[string]Latency `json:"latencyByKind"`
}

// CPU is the server's processor time per operation in microseconds.
func (r *Round) CPU() float64 { return r.UserCPU + r.SystemCPU }

// Latency holds the figures that stand for a histogram.
type Latency struct {
	P50  time.Duration `json:"p50"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
	Max  time.Duration `json:"max"`
}

func newLatency(h *hdrhistogram.Histogram) Latency {
	at := func(percentile float64) time.Duration { return time.Duration(h.ValueAtPercentile(percentile)) }
	return Latency{at(50), at(99), at(99.9), time.Duration(h.Max())}
}

// round drives c and keeps the server's books meanwhile.
func (s *suite) round(ctx context.Context, c *contestant, o load.Options) (Round, *load.Result, error) {
	var before peer.Usage
	var usageErr error
	var client, kernel time.Duration
	if o.Interval == 0 {
		o.Interval = time.Second // as a tail wants it
	}
	bare, err := startBareSyncs(s.Dir)
	if err != nil {
		return Round{}, nil, err
	}
	o.Started = func() {
		bare.begin()
		before, usageErr = c.Usage()
		client, kernel = ownCPU(), peer.KernelCPU()
	}
	result, err := s.drive(ctx, c, o)
	syncs, syncErr := bare.finish()
	if err = errors.Join(err, syncErr); err != nil {
		return Round{}, nil, err
	}
	if usageErr != nil {
		return Round{}, nil, usageErr
	}
	client, kernel = ownCPU()-client, peer.KernelCPU()-kernel
	after, err := c.Usage()
	if err != nil {
		return Round{}, nil, err
	}
	r := newRound(result)
	r.ServerBusy = float64(after.CPU()-before.CPU()) / float64(max(r.Elapsed, 1))
	r.ClientBusy = float64(client) / float64(max(r.Elapsed, 1))
	perOperation := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(max(r.Operations, 1)) }
	r.UserCPU, r.SystemCPU = perOperation(after.User-before.User), perOperation(after.System-before.System)
	r.KernelCPU = perOperation(max(kernel, 0))
	r.Switches = float64(after.Switches-before.Switches) / float64(max(r.Operations, 1))
	r.Tail = newTail(result.Timeline, syncs)
	r.RSS, r.Written = after.RSS, after.Written-before.Written
	r.Disk, err = c.allocated()
	return r, result, err
}

// ownCPU is the processor time that this process has used.
func ownCPU() time.Duration {
	user, system := processors.Used()
	return user + system
}

// newRound takes over what the client measured.
func newRound(result *load.Result) Round {
	r := Round{
		Operations: result.Operations(), Turns: result.Turns.TotalCount(), Unserved: result.Unserved,
		Elapsed: result.Elapsed, Sent: result.Written,
		Latency: newLatency(result.Latency()), Turn: newLatency(result.Turns), Kinds: map[string]Latency{},
	}
	seconds := max(r.Elapsed.Seconds(), 1e-9)
	r.Throughput = float64(r.Operations) / seconds
	r.TurnRate = float64(r.Turns-r.Unserved) / seconds
	var hits, reads int64
	for kind, tally := range result.Kinds {
		if tally.Count > 0 {
			r.Kinds[load.Kind(kind).String()] = newLatency(tally.Latency)
		}
		if k := load.Kind(kind); k == load.Get || k == load.GetMulti || k == load.Touch {
			hits, reads = hits+tally.Hits, reads+tally.Items
		}
	}
	r.HitRatio = 1
	if reads > 0 {
		r.HitRatio = float64(hits) / float64(reads)
	}
	return r
}

// Spread sums up one figure over all rounds.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

func newSpread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + median) / 2
	}
	return Spread{median, sorted[0], sorted[len(sorted)-1]}
}

// Deviation is half the distance between the extremes, relative to the median.
func (s Spread) Deviation() float64 { return (s.Most - s.Least) / 2 / s.Median }

// each returns one figure of all rounds.
func each(rounds []Round, figure func(r *Round) float64) []float64 {
	values := make([]float64, len(rounds))
	for i := range rounds {
		values[i] = figure(&rounds[i])
	}
	return values
}

func median(rounds []Round, figure func(r *Round) float64) float64 {
	return newSpread(each(rounds, figure)).Median
}

func medianTime(rounds []Round, figure func(r *Round) time.Duration) time.Duration {
	return time.Duration(median(rounds, func(r *Round) float64 { return float64(figure(r)) }))
}

// ratio compares a figure with the baseline's, round by round, and gives the
// median: what disturbed both servers of a round cancels out.
func ratio(rounds, baseline []Round, figure func(r *Round) float64) float64 {
	var ratios []float64
	for i := range min(len(rounds), len(baseline)) {
		ratios = append(ratios, figure(&rounds[i])/figure(&baseline[i]))
	}
	return newSpread(ratios).Median
}
