package workload_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"cairn/bench/load"
	"cairn/bench/payload"
	"cairn/bench/workload"
)

// memory is a server in a map. It can forget, and lie.
type memory map[string]string

func (m memory) answer(op load.Op) []load.Answer {
	one := func(found bool, value string) []load.Answer {
		a := load.Answer{Outcome: load.Absent}
		if found {
			a = load.Answer{Outcome: load.Done, Value: []byte(value)}
		}
		return []load.Answer{a}
	}
	value, found := m[string(op.Key)]
	switch op.Kind {
	case load.Get:
		return one(found, value)
	case load.GetMulti:
		var all []load.Answer
		for i, key := range op.Keys {
			a := one(m[string(key)] != "", m[string(key)])[0]
			a.Item = i
			all = append(all, a)
		}
		return all
	case load.Touch:
		return one(found, "")
	case load.Add:
		if !found {
			m[string(op.Key)] = string(op.Value)
		}
		return one(!found, "")
	default:
		m[string(op.Key)] = string(op.Value)
		return one(true, "")
	}
}

// play runs turns of the flows against m and counts operations by kind and
// wrong answers.
func play(m memory, flows []load.Flow, turns int) (kinds map[string]int, wrong int) {
	kinds = map[string]int{}
	for _, flow := range flows {
		for range turns {
			exchanges := 0
			for {
				ops := flow.Next(nil)
				if len(ops) == 0 {
					break
				}
				exchanges++
				for i := range ops {
					kinds[ops[i].Kind.String()]++
					for _, a := range m.answer(ops[i]) {
						if !flow.Check(&ops[i], a) {
							wrong++
						}
					}
				}
			}
			if exchanges == 0 {
				break
			}
		}
	}
	return kinds, wrong
}

func newPopulation(size int) *workload.Population {
	return workload.NewPopulation(payload.NewPool(payload.Options{Count: 50}), 0, size)
}

func filled(t *testing.T, size int, o workload.Options) (*workload.Population, memory) {
	t.Helper()
	p, m := newPopulation(size), memory{}
	o.Depth = 4
	if _, wrong := play(m, workload.Fill.Flows(p, 3, o), 1000); wrong > 0 || p.Stored() != size {
		t.Fatalf("%d of %d stored, %d wrong answers", p.Stored(), size, wrong)
	}
	return p, m
}

func TestFillStoresEverySessionOnce(t *testing.T) {
	for _, withValidity := range []bool{true, false} {
		p, m := filled(t, 100, workload.Options{Validity: withValidity})
		var bytes int64
		for key, value := range m {
			bytes += int64(len(key) + len(value))
		}
		if bytes != p.Bytes() {
			t.Errorf("Bytes %d, the server has %d", p.Bytes(), bytes)
		}
	}
	p, m := filled(t, 100, workload.Options{})
	if len(m) != 100 || len(m[workload.Key(7)]) != payloadSize(7) {
		t.Errorf("%d items", len(m))
	}
	if kinds, _ := play(m, workload.Fill.Flows(p, 7, workload.Options{}), 1000); len(kinds) != 0 {
		t.Errorf("a second fill did %v", kinds)
	}
	p.Grow(130)
	if kinds, _ := play(m, workload.Fill.Flows(p, 7, workload.Options{Validity: true}), 1000); kinds["set"] != 60 {
		t.Errorf("filling what grew did %v", kinds)
	}
}

func TestPopulationsWithOtherNumbersHaveOtherKeys(t *testing.T) {
	pool, m := payload.NewPool(payload.Options{Count: 50}), memory{}
	for _, base := range []uint64{0, 1 << 32} {
		p := workload.NewPopulation(pool, base, 100)
		o := workload.Options{Strict: true}
		play(m, workload.Fill.Flows(p, 3, o), 1000)
		if _, wrong := play(m, workload.Reads.Flows(p, 3, o), 100); wrong > 0 {
			t.Errorf("base %d: %d wrong answers", base, wrong)
		}
	}
	if len(m) != 200 {
		t.Errorf("%d items", len(m))
	}
}

func payloadSize(number uint64) int {
	return payload.NewPool(payload.Options{Count: 50}).Size(number)
}

func TestTraffic(t *testing.T) {
	for _, test := range []struct {
		name string
		kind workload.Kind
		o    workload.Options
		want func(kinds map[string]int) bool
	}{
		{"reads", workload.Reads, workload.Options{Depth: 5}, func(k map[string]int) bool { return k["get"] == 1500 && len(k) == 1 }},
		{"writes", workload.Writes, workload.Options{Depth: 5}, func(k map[string]int) bool { return k["set"] == 1500 && len(k) == 1 }},
		{"multireads", workload.MultiReads, workload.Options{Depth: 5}, func(k map[string]int) bool { return k["multiget"] == 300 && len(k) == 1 }},
		{"session", workload.Session, workload.Options{Validity: true}, func(k map[string]int) bool {
			return k["get"] == 600 && k["set"]+k["add"] == 600 && k["add"] > 100 && k["add"] < 200
		}},
		{"session with newcomers", workload.Session, workload.Options{Validity: true, Newcomers: 50}, func(k map[string]int) bool {
			return k["get"] > 400 && k["get"] < 500 && k["set"]+k["add"] == 600
		}},
		{"sliding", workload.Sliding, workload.Options{}, func(k map[string]int) bool {
			return k["get"] == 300 && k["set"]+k["touch"] == 300 && k["touch"] > 240 && k["touch"] < 300
		}},
		{"mixed", workload.Mixed, workload.Options{}, func(k map[string]int) bool {
			return k["get"]+k["set"] == 300 && k["get"] > 100 && k["set"] > 100
		}},
		{"visits", workload.Visit, workload.Options{}, func(k map[string]int) bool {
			return k["get"] == 300 && k["set"] == 300
		}},
		{"logins", workload.Logins, workload.Options{}, func(k map[string]int) bool {
			return k["get"] == 300 && k["set"] == 600
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.Strict = true
			for _, skew := range []float64{0, 1.1} {
				test.o.Skew = skew
				p, m := filled(t, 100, test.o)
				flows := test.kind.Flows(p, 3, test.o)
				before := len(m)
				kinds, wrong := play(m, flows, 100)
				if wrong > 0 || !test.want(kinds) {
					t.Errorf("%v, %d wrong", kinds, wrong)
				}
				if grown := len(m) - before; (test.name == "logins") != (grown == 600) && !strings.Contains(test.name, "newcomers") {
					t.Errorf("%d more items", grown)
				}
			}
		})
	}
}

// A sweep meets every session of a connection before any of them again.
func TestSweepMeetsAllInTurn(t *testing.T) {
	for _, kind := range []workload.Kind{workload.Sweep, workload.SweepWrites} {
		p, m := filled(t, 90, workload.Options{})
		for _, flow := range kind.Flows(p, 3, workload.Options{Strict: true, Seed: 5}) {
			seen := map[string]int{}
			for range 60 {
				ops := flow.Next(nil)
				seen[string(ops[0].Key)]++
				if !flow.Check(&ops[0], m.answer(ops[0])[0]) {
					t.Error("a wrong answer")
				}
				flow.Next(nil) // the turn ends
			}
			for key, times := range seen {
				if len(seen) != 30 || times != 2 {
					t.Errorf("%d sessions, %s %d times", len(seen), key, times)
				}
			}
		}
	}
}

func TestHotRestrictsTheTraffic(t *testing.T) {
	p, m := filled(t, 300, workload.Options{})
	o := workload.Options{Hot: 30}
	maps.DeleteFunc(m, func(key, _ string) bool { // all but the first ten of each of three connections
		for number := range uint64(30) {
			if key == workload.Key(number) {
				return false
			}
		}
		return true
	})
	o.Strict = true
	if _, wrong := play(m, workload.Reads.Flows(p, 3, o), 200); wrong > 0 {
		t.Errorf("%d answers missing", wrong)
	}
}

func TestWrongAnswersShow(t *testing.T) {
	for name, spoil := range map[string]func(m memory, key string, old string){
		"an older revision": func(m memory, key, old string) { m[key] = old },
		"a cut value":       func(m memory, key, _ string) { m[key] = m[key][:len(m[key])-1] },
		"another session":   func(m memory, key, _ string) { m[key] = m[workload.Key(50)] },
		"nothing":           func(m memory, key, _ string) { delete(m, key) },
	} {
		for _, kind := range []workload.Kind{workload.Reads, workload.MultiReads, workload.Session, workload.Sliding} {
			p, m := filled(t, 60, workload.Options{})
			old := m[workload.Key(1)]
			play(m, workload.Writes.Flows(p, 3, workload.Options{Hot: 3}), 50)
			spoil(m, workload.Key(1), old)
			// Each request of connection 1 is about session 1.
			if _, wrong := play(m, kind.Flows(p, 3, workload.Options{Hot: 3, Strict: true}), 1); wrong == 0 {
				t.Errorf("%s went unnoticed", name)
			}
		}
	}
}

// A visitor whose session a forgetful server lost gets a new one.
func TestLostSessionsAreStoredAgain(t *testing.T) {
	for _, kind := range []workload.Kind{workload.Session, workload.Sliding} {
		p, m := filled(t, 60, workload.Options{})
		clear(m)
		if _, wrong := play(m, kind.Flows(p, 3, workload.Options{Hot: 3}), 1); wrong > 0 {
			t.Errorf("%d wrong answers", wrong)
		}
		for number := range uint64(3) {
			if len(m[workload.Key(number)]) != payloadSize(number) {
				t.Errorf("session %d is not back", number)
			}
		}
	}
}

func TestAudit(t *testing.T) {
	p, m := filled(t, 100, workload.Options{})
	old := m[workload.Key(0)]
	play(m, workload.Writes.Flows(p, 1, workload.Options{Hot: 1}), 2)
	m[workload.Key(0)] = old
	delete(m, workload.Key(1))
	m[workload.Key(2)] = m[workload.Key(3)]
	// A write whose answer was lost may have taken effect or not.
	for i, flow := range workload.Writes.Flows(p, 100, workload.Options{})[4:6] {
		ops := flow.Next(nil)
		if i == 0 {
			m.answer(ops[0])
		}
	}
	var audit workload.Audit
	play(m, audit.Flows(p, 7, workload.Options{Depth: 3}), 100)
	got := fmt.Sprint(audit.Intact.Load(), audit.Stale.Load(), audit.Missing.Load(), audit.Foreign.Load(), audit.Lost())
	if got != "97 1 1 1 3" {
		t.Errorf("intact, stale, missing, foreign, lost: %s", got)
	}
	// What it found is what the population expects from now on.
	if _, wrong := play(m, workload.Writes.Flows(p, 3, workload.Options{}), 100); wrong > 0 {
		t.Errorf("%d wrong answers after the audit", wrong)
	}
}
