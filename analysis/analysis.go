// Package analysis tells what fills sessions: how many of each kind there are, how
// large and how old they are, and which members of their values take the space.
//
// It looks at a sample, which it takes by leaps through the keys, and rests as long as
// it works, so that it does not get in the way of traffic. What it keeps is bounded
// whatever the sessions are.
package analysis

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"cairn/adminapi"
	"cairn/decode"
	"cairn/policy"
	"cairn/session"
)

// Limits of an analysis.
const (
	DefaultSample = 10_000
	MaxSample     = 100_000
	maxGroups     = 256 // rules by kinds
	maxFormats    = 64  // of a rule
	maxMembers    = 500 // of a rule that are counted
	shownMembers  = 30
)

// Source has the sessions.
type Source interface {
	session.Clock
	Stats() session.Stats
	Scan(ctx context.Context, prefix, after []byte, fn func(it *session.Item) bool) error
}

// Options say what to look at. Source is required.
type Options struct {
	Source Source
	Rules  *policy.Rules // nil: there are none
	Rule   string        // only keys of this rule; "": any
	Prefix []byte        // only keys that begin so
	Sample int           // about how many sessions; 0: DefaultSample

	// Rest waits between two parts of the work; the first took d. nil: as long as that
	// took, at most a tenth of a second.
	Rest func(ctx context.Context, d time.Duration) error
}

// Run looks at a sample of the sessions. It fails if ctx ends, or the source does.
func Run(ctx context.Context, o Options) (adminapi.Analysis, error) {
	if o.Sample == 0 {
		o.Sample = DefaultSample
	}
	if o.Rest == nil {
		o.Rest = rest
	}
	r := &run{options: o, ctx: ctx, now: o.Source.Now(), groups: map[groupKey]*group{}}
	w := walk{source: o.Source, prefix: o.Prefix, stops: r.stops(), rest: o.Rest, fn: r.look}
	total := o.Source.Stats().Items
	if len(o.Prefix) > 0 || o.Rule != "" {
		var err error
		if total, err = r.count(ctx, total); err != nil {
			return adminapi.Analysis{}, err
		}
	}
	w.factor = max(float64(total)/float64(o.Sample), 1)
	w.most = 2 * o.Sample
	complete := w.factor == 1
	if err := w.run(ctx); err != nil {
		return adminapi.Analysis{}, err
	}
	complete = complete && w.factor == 1
	return r.result(complete, total), nil
}

// count estimates how many keys the analysis is about, of so many in all.
func (r *run) count(ctx context.Context, total int64) (int64, error) {
	seen := 0.0
	w := walk{source: r.options.Source, prefix: r.options.Prefix, stops: r.stops(), rest: r.options.Rest,
		factor: max(float64(total)/1000, 1), most: 4000,
		fn: func(it *session.Item, weight float64) bool {
			if _, _, of := r.group(it.Key); of {
				seen += weight
			}
			return true
		},
	}
	err := w.run(ctx)
	return int64(seen), err
}

// stops are where the keys of rules begin.
func (r *run) stops() [][]byte {
	if r.options.Rules == nil {
		return nil
	}
	return r.options.Rules.Set().Literals()
}

// rest waits for as long as the work took.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(min(d, 100*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is one analysis under way.
type run struct {
	options Options
	ctx     context.Context
	now     session.Time
	sampled int
	weight  float64
	groups  map[groupKey]*group
}

type groupKey struct {
	rule string
	kind policy.Kind
}

// group is what was seen of one rule's keys of one kind.
type group struct {
	sampled              int
	weight, bytes        float64
	sizes, ages          []int64
	formats              map[string]int
	remembered, neverGot int

	decoded     int // values
	decodedSize int64
	members     map[string]*member
}

// member is what was seen of one member.
type member struct {
	size, values int64
	last         int // the value that was counted last
}

// group returns the rule and kind of a key, and whether the analysis is about it.
func (r *run) group(key []byte) (rule string, kind policy.Kind, of bool) {
	if r.options.Rules != nil {
		if found, k := r.options.Rules.Set().For(key); found != nil {
			rule, kind = found.Name, k
		}
	}
	return rule, kind, r.options.Rule == "" || r.options.Rule == rule
}

// look takes a session into account that stands for weight of them.
func (r *run) look(it *session.Item, weight float64) bool {
	rule, kind, of := r.group(it.Key)
	if !of {
		return true
	}
	key := groupKey{rule, kind}
	g := r.groups[key]
	if g == nil {
		if len(r.groups) == maxGroups {
			return true
		}
		g = &group{formats: map[string]int{}, members: map[string]*member{}}
		r.groups[key] = g
	}
	r.sampled++
	r.weight += weight
	g.sampled++
	g.weight += weight
	g.bytes += weight * float64(len(it.Value))
	g.sizes = append(g.sizes, int64(len(it.Value)))
	if it.Created > 0 {
		g.ages = append(g.ages, int64(max(r.now.Sub(it.Created), 0)/time.Second))
	}
	if it.LastAccess != 0 {
		g.remembered++
		if !it.Fetched {
			g.neverGot++
		}
	}
	view, err := decode.Value(r.ctx, it.Value, decode.Hints{Key: it.Key, Flags: it.Flags})
	if err != nil {
		return false
	}
	format := strings.Join(append([]string{string(view.Format)}, view.Layers...), ", ")
	if len(g.formats) < maxFormats || g.formats[format] > 0 {
		g.formats[format]++
	}
	g.weigh(view.Value)
	return true
}

// result sums up. Unless it is complete or narrowed, estimates are scaled to the
// number of sessions that there are.
func (r *run) result(complete bool, total int64) adminapi.Analysis {
	a := adminapi.Analysis{Now: r.now.Time(), Sampled: r.sampled, Complete: complete, Rules: []adminapi.RuleAnalysis{}}
	scale := 1.0
	if !complete && len(r.options.Prefix) == 0 && r.options.Rule == "" && r.weight > 0 {
		scale = float64(total) / r.weight
	}
	for key, g := range r.groups {
		a.Rules = append(a.Rules, g.result(key, scale))
	}
	slices.SortFunc(a.Rules, func(x, y adminapi.RuleAnalysis) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Kind, y.Kind))
	})
	return a
}

func (g *group) result(key groupKey, scale float64) adminapi.RuleAnalysis {
	a := adminapi.RuleAnalysis{
		Rule: key.rule, Kind: key.kind.String(), Sampled: g.sampled,
		Sessions: int64(g.weight*scale + 0.5), Bytes: int64(g.bytes*scale + 0.5),
		Size: percentiles(g.sizes), Age: percentiles(g.ages), AgeOf: len(g.ages),
		Formats: []adminapi.FormatShare{}, Remembered: g.remembered, Members: g.shownMembers(),
	}
	if g.remembered > 0 {
		a.NeverRead = float64(g.neverGot) / float64(g.remembered)
	}
	for format, n := range g.formats {
		a.Formats = append(a.Formats, adminapi.FormatShare{Format: format, Share: float64(n) / float64(g.sampled)})
	}
	slices.SortFunc(a.Formats, func(x, y adminapi.FormatShare) int {
		return cmp.Or(cmp.Compare(y.Share, x.Share), cmp.Compare(x.Format, y.Format))
	})
	return a
}

// percentiles sorts values.
func percentiles(values []int64) (p adminapi.Percentiles) {
	if len(values) == 0 {
		return p
	}
	slices.Sort(values)
	at := func(percent int) int64 { return values[(len(values)-1)*percent/100] }
	return adminapi.Percentiles{P50: at(50), P90: at(90), P99: at(99), Max: values[len(values)-1]}
}
