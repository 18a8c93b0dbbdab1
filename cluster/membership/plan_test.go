package membership

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const week = 7 * 24 * time.Hour

func voters(silent ...time.Duration) (all []Replica) {
	for i, s := range silent {
		all = append(all, Replica{Node: uint64(i + 1), Silent: s, CaughtUp: true})
	}
	return all
}

func learner(node uint64, caughtUp bool) Replica {
	return Replica{Node: node, Learner: true, CaughtUp: caughtUp}
}

func TestNext(t *testing.T) {
	const dead, hour = week, time.Hour
	for name, test := range map[string]struct {
		view View
		want Step
	}{
		"nothing to do":             {View{Self: 1, Replicas: voters(0, 0, 0), Size: 3, Strangers: []uint64{9}}, Step{}},
		"one away for a while":      {View{Self: 1, Replicas: voters(0, 0, time.Minute), ReplaceAfter: hour, Strangers: []uint64{9}}, Step{}},
		"one gone, nobody new":      {View{Self: 1, Replicas: voters(0, 0, dead), ReplaceAfter: hour}, Step{}},
		"one gone, one new":         {View{Self: 1, Replicas: voters(0, 0, dead), ReplaceAfter: hour, Strangers: []uint64{9}}, Step{Learn: 9}},
		"the new one learns":        {View{Self: 1, Replicas: append(voters(0, 0, dead), learner(9, false)), ReplaceAfter: hour, Strangers: []uint64{8}}, Step{}},
		"the new one has caught up": {View{Self: 1, Replicas: append(voters(0, 0, dead), learner(9, true)), ReplaceAfter: hour}, Step{Promote: 9, Swap: 3}},
		"the old one came back":     {View{Self: 1, Replicas: append(voters(0, 0, 0), learner(9, true)), ReplaceAfter: hour}, Step{}},
		"never replaced by itself":  {View{Self: 1, Replicas: append(voters(0, 0, dead), learner(9, true))}, Step{}},
		"two silent, the longest":   {View{Self: 1, Replicas: append(voters(0, hour+time.Second, 2*hour, 0, 0), learner(9, true)), ReplaceAfter: hour}, Step{Promote: 9, Swap: 3}},
		"one more":                  {View{Self: 1, Replicas: voters(0, 0, 0), Size: 4, Joining: []uint64{9}, Strangers: []uint64{8, 9}}, Step{Learn: 9}},
		"one more has caught up":    {View{Self: 1, Replicas: append(voters(0, 0, 0), learner(9, true)), Size: 4}, Step{Promote: 9}},
		"one less":                  {View{Self: 1, Replicas: voters(0, 0, 0, 0), Size: 3, Leaving: []uint64{2}}, Step{Remove: 2}},
		"one less, the leader":      {View{Self: 2, Replicas: voters(0, 0, 0, 0), Size: 3, Leaving: []uint64{2}}, Step{Lead: true}},
		"one less would be too few": {View{Self: 1, Replicas: voters(0, 0, 0, dead, dead), Size: 4, Leaving: []uint64{2}}, Step{}},
		"replaced by request":       {View{Self: 1, Replicas: append(voters(0, 0, 0), learner(9, true)), Size: 3, Leaving: []uint64{2}}, Step{Promote: 9, Swap: 2}},
		"replaced, the leader":      {View{Self: 2, Replicas: append(voters(0, 0, 0), learner(9, true)), Size: 3, Leaving: []uint64{2}}, Step{Lead: true}},
		"replaced, the only one":    {View{Self: 1, Replicas: append(voters(0), learner(9, true)), Size: 1, Leaving: []uint64{1}}, Step{Promote: 9}},
		"replaced, the only other":  {View{Self: 1, Replicas: voters(0, 0), Size: 1, Leaving: []uint64{1}}, Step{Lead: true}},
		"a learner is gone":         {View{Self: 1, Replicas: append(voters(0, 0, 0), Replica{Node: 9, Learner: true, Silent: dead}), ReplaceAfter: hour}, Step{Remove: 9}},
		"a learner is to leave":     {View{Self: 1, Replicas: append(voters(0, 0, 0), learner(9, true)), Leaving: []uint64{9}}, Step{Remove: 9}},

		"a zone of its own":          {View{Self: 1, Replicas: voters(0, 0, dead), ReplaceAfter: hour, Strangers: []uint64{7, 8, 9}, Zones: map[uint64]string{1: "a", 2: "b", 3: "c", 7: "a", 8: "b", 9: "d"}}, Step{Learn: 9}},
		"the zone of the one gone":   {View{Self: 1, Replicas: voters(0, 0, dead), ReplaceAfter: hour, Strangers: []uint64{7, 8, 9}, Zones: map[uint64]string{1: "a", 2: "b", 3: "c", 7: "a", 8: "b", 9: "c"}}, Step{Learn: 9}},
		"fewer in the zone":          {View{Self: 1, Replicas: voters(0, 0, 0, 0, dead), ReplaceAfter: hour, Strangers: []uint64{7, 8, 9}, Zones: map[uint64]string{1: "a", 2: "a", 3: "b", 4: "b", 5: "c", 7: "a", 8: "c", 9: "b"}}, Step{Learn: 8}},
		"no zone of its own":         {View{Self: 1, Replicas: voters(0, 0, dead), ReplaceAfter: hour, Strangers: []uint64{8, 9}, Zones: map[uint64]string{1: "a", 2: "b", 3: "c", 8: "a", 9: "b"}}, Step{Learn: 8}},
		"a zone is better than none": {View{Self: 1, Replicas: voters(0, 0, dead), ReplaceAfter: hour, Strangers: []uint64{8, 9}, Zones: map[uint64]string{1: "a", 2: "b", 3: "c", 9: "c"}}, Step{Learn: 9}},
		"the one that was added":     {View{Self: 1, Replicas: voters(0, 0, 0), Size: 4, Joining: []uint64{8}, Strangers: []uint64{8, 9}, Zones: map[uint64]string{1: "a", 2: "b", 3: "c", 8: "a", 9: "d"}}, Step{Learn: 8}},
		"the learner of a new zone":  {View{Self: 1, Replicas: append(voters(0, 0, dead), learner(8, true), learner(9, true)), ReplaceAfter: hour, Zones: map[uint64]string{1: "a", 2: "b", 3: "c", 8: "a", 9: "d"}}, Step{Promote: 9, Swap: 3}},
		"the one that has caught up": {View{Self: 1, Replicas: append(voters(0, 0, dead), learner(8, true), learner(9, false)), ReplaceAfter: hour, Zones: map[uint64]string{1: "a", 2: "b", 3: "c", 8: "a", 9: "d"}}, Step{Promote: 8, Swap: 3}},
	} {
		if got := test.view.Next(); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// TestNextKeepsQuorum takes random steps: what the cluster is to be comes to be, the
// living voters are most all the time, and nobody is removed before there is another.
func TestNextKeepsQuorum(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		v := View{Self: 1, ReplaceAfter: time.Hour, Size: 3, Replicas: voters(0, 0, 0), Strangers: []uint64{11, 12, 13, 14, 15}}
		v.Zones = map[uint64]string{}
		for _, node := range []uint64{1, 2, 3, 11, 12, 13, 14, 15} {
			if zone := random.IntN(5); zone > 0 {
				v.Zones[node] = fmt.Sprint("zone", zone)
			}
		}
		switch random.IntN(4) {
		case 0:
			v.Replicas[1+random.IntN(2)].Silent = week
		case 1:
			v.Size = 5
		case 2:
			v.Leaving = []uint64{uint64(2 + random.IntN(2))}
		case 3:
			v.Size, v.Replicas[2].Silent = 5, week
		}
		for range 40 {
			before, next := len(v.Replicas), v.Next()
			if better := betterZone(&v, next.Learn); better != 0 {
				t.Fatalf("seed %d: %d becomes a replica though %d is in a zone with fewer: %v", seed, next.Learn, better, v.Zones)
			}
			apply(&v, next)
			count, living := 0, 0
			for i := range v.Replicas {
				if r := &v.Replicas[i]; r.Learner {
					r.CaughtUp = random.IntN(2) == 0
				} else if count++; r.Silent < alive {
					living++
				}
			}
			if count < 3 || 2*living <= count {
				t.Fatalf("seed %d: %d of %d voters live, before there were %d replicas", seed, living, count, before)
			}
		}
		gone := slices.ContainsFunc(v.Replicas, func(r Replica) bool { return r.Silent > time.Hour || slices.Contains(v.Leaving, r.Node) })
		if len(v.Replicas) != v.Size || gone {
			t.Errorf("seed %d: in the end %+v, not %d", seed, v.Replicas, v.Size)
		}
	}
}

// TestNextKeepsLeader takes views of all kinds, also such that cannot be: the leader never
// removes itself.
func TestNextKeepsLeader(t *testing.T) {
	removals, leads := 0, 0
	for seed := range uint64(20_000) {
		random := rand.New(rand.NewPCG(seed, 2))
		some := func(nodes int) (all []uint64) {
			for node := range uint64(nodes) {
				if random.IntN(3) == 0 {
					all = append(all, node+1)
				}
			}
			return all
		}
		v := View{Self: 1 + random.Uint64N(6), Size: random.IntN(6), Leaving: some(8), Joining: some(10), Strangers: some(10), ReplaceAfter: time.Hour * time.Duration(random.IntN(2))}
		for node := range uint64(1 + random.IntN(7)) {
			r := Replica{Node: node + 1, Learner: node+1 != v.Self && random.IntN(3) == 0, CaughtUp: random.IntN(2) == 0}
			if r.Node != v.Self {
				r.Silent = []time.Duration{0, alive, week}[random.IntN(3)]
			}
			v.Replicas = append(v.Replicas, r)
		}
		switch s := v.Next(); {
		case s.Remove == v.Self || s.Swap == v.Self:
			t.Fatalf("seed %d: %+v: %+v", seed, v, s)
		case s.Remove != 0 || s.Swap != 0:
			removals++
		case s.Lead:
			leads++
		}
	}
	if removals == 0 || leads == 0 {
		t.Errorf("%d removals, the lead handed over %d times", removals, leads)
	}
}

// apply does what a step says.
func apply(v *View, s Step) {
	for i := range v.Replicas {
		if v.Replicas[i].Node == s.Promote {
			v.Replicas[i].Learner = false
		}
	}
	v.Replicas = slices.DeleteFunc(v.Replicas, func(r Replica) bool { return s.Swap == r.Node || s.Remove == r.Node })
	if s.Learn != 0 {
		v.Replicas = append(v.Replicas, Replica{Node: s.Learn, Learner: true})
		v.Strangers = slices.DeleteFunc(v.Strangers, func(x uint64) bool { return x == s.Learn })
	}
}

// betterZone is a stranger in whose zone there are fewer of the voters that stay than in that
// of the one that was chosen; 0: there is none, or none was chosen.
func betterZone(v *View, chosen uint64) uint64 {
	if chosen == 0 {
		return 0
	}
	shares := func(node uint64) (n int) {
		for _, r := range v.Replicas {
			stays := r.Silent < v.ReplaceAfter && !slices.Contains(v.Leaving, r.Node)
			if stays && v.Zones[r.Node] == v.Zones[node] {
				n++
			}
		}
		return n
	}
	for _, s := range v.Strangers {
		if shares(s) < shares(chosen) {
			return s
		}
	}
	return 0
}
