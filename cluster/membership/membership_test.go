package membership

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/cluster/group"
)

// village is nodes that say what they say to each other when the test lets them.
type village struct {
	t     *testing.T
	now   time.Time
	nodes []*Membership
}

func (v *village) add(dir string, expect int) *Membership {
	v.t.Helper()
	i, err := Load(dir, "c", 1)
	if err != nil {
		v.t.Fatal(err)
	}
	m, err := New(Options{
		Dir: dir, Identity: i, Address: "node" + filepath.Base(dir), Expect: expect, Level: 1,
		Now: func() time.Time { return v.now }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.nodes = append(v.nodes, m)
	return m
}

// say lets one node hear another.
func (v *village) say(from, to *Membership) {
	v.t.Helper()
	if err := to.Heard(from.Identity().Node, from.level, "", from.State(from.log, nil)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *village) talk(nodes ...*Membership) {
	for _, from := range nodes {
		for _, to := range nodes {
			if from != to {
				v.say(from, to)
			}
		}
	}
}

func begun(m *Membership) bool {
	select {
	case <-m.Begun():
		return true
	default:
		return false
	}
}

func newVillage(t *testing.T) *village { return &village{t: t, now: time.Unix(1_800_000_000, 0)} }

func TestThreeBegin(t *testing.T) {
	v := newVillage(t)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	a, b := v.add(dirs[0], 3), v.add(dirs[1], 3)
	v.talk(a, b)
	v.talk(a, b)
	if begun(a) || begun(b) {
		t.Fatal("two of three have begun")
	}
	c := v.add(dirs[2], 3)
	v.talk(a, b, c)
	v.talk(a, b, c)
	for _, m := range v.nodes {
		if !begun(m) {
			t.Fatal("a node has not begun")
		}
		if other := m.Identity(); !slices.Equal(other.Nodes(), a.identity.Nodes()) || len(other.Members) != 3 {
			t.Errorf("members %v and %v", other.Members, a.identity.Members)
		}
	}
	again := v.add(dirs[1], 3)
	if !begun(again) || again.Identity().Node != b.Identity().Node {
		t.Error("a node that starts again is another, or has not begun")
	}
	if addresses := a.Addresses(); len(addresses) != 2 {
		t.Errorf("the others are at %q", addresses)
	}
	late := v.add(t.TempDir(), 3)
	v.talk(a, late)
	if begun(late) || !late.foreign {
		t.Error("a node belongs to a cluster that has begun without it")
	}
}

// TestOneAlone is the smallest cluster.
func TestOneAlone(t *testing.T) {
	if m := newVillage(t).add(t.TempDir(), 1); !begun(m) || len(m.Identity().Members) != 1 {
		t.Error("it has not begun")
	}
}

// TestWordGetsRound lets one node begin, and the others hear of it.
func TestWordGetsRound(t *testing.T) {
	v := newVillage(t)
	a, b, c := v.add(t.TempDir(), 3), v.add(t.TempDir(), 3), v.add(t.TempDir(), 3)
	v.talk(a, b, c) // all are ready, and a and b may not know that of all
	v.say(b, a)
	v.say(c, a)
	if !begun(a) {
		t.Fatal("a has not begun")
	}
	v.now = v.now.Add(time.Hour)
	v.say(a, b)
	v.say(a, c)
	if !begun(b) || !begun(c) {
		t.Error("a node has begun with others that do not know of it")
	}
}

// TestFourOfThree lets too many nodes be there: no two clusters begin with the same
// node.
func TestFourOfThree(t *testing.T) {
	v := newVillage(t)
	var all []*Membership
	for range 4 {
		all = append(all, v.add(t.TempDir(), 3))
	}
	v.talk(all[0], all[1], all[2])
	v.talk(all[1], all[2], all[3])
	v.talk(all...)
	v.talk(all...)
	cluster := map[uint64][]uint64{}
	for _, m := range all {
		i := m.Identity()
		for _, node := range i.Nodes() {
			if other := cluster[node]; other != nil && !slices.Equal(other, i.Nodes()) {
				t.Errorf("node %d belongs to two clusters", node)
			}
			cluster[node] = i.Nodes()
		}
	}
}

// TestGoneBeforeTheBegin replaces a node that was there for a while.
func TestGoneBeforeTheBegin(t *testing.T) {
	v := newVillage(t)
	a, b, gone := v.add(t.TempDir(), 3), v.add(t.TempDir(), 3), v.add(t.TempDir(), 3)
	v.say(b, a)
	v.say(gone, a) // a is ready, and nobody else
	v.now = v.now.Add(time.Minute)
	c := v.add(t.TempDir(), 3)
	v.talk(a, b, c)
	v.talk(a, b, c)
	v.talk(a, b, c)
	if !begun(a) || !begun(b) || !begun(c) || slices.Contains(a.identity.Nodes(), gone.Identity().Node) {
		t.Error("those that are there have not begun, or with one that is not")
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	first, err := Load(dir, "c", 1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Load(dir, "c", 12); err != nil || again.Node != first.Node || again.Groups != 1 {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := Load(dir, "another", 1); err == nil || !strings.Contains(err.Error(), `"another"`) {
		t.Errorf("another cluster: %v", err)
	}
	for name, text := range map[string]string{
		"not JSON": "{", "a later format": `{"format":2,"node":"1","groups":1,"cluster":"c"}`, "no node": `{"format":1,"groups":1,"cluster":"c"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, "c", 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A log that is carried out again from further back does not bring back who the nodes
// were there.
func TestConfiguredFromFurtherBack(t *testing.T) {
	v := newVillage(t)
	dir := t.TempDir()
	a, b, c := v.add(dir, 3), v.add(t.TempDir(), 3), v.add(t.TempDir(), 3)
	v.talk(a, b, c)
	v.talk(a, b, c)
	before := a.Identity()
	const another = 4
	var nodes []uint64
	for _, at := range []uint64{10, 5, 10} {
		if at == 10 {
			nodes = []uint64{a.Identity().Node, b.Identity().Node, another}
		} else {
			nodes = before.Nodes()
		}
		if err := a.Configured(at, nodes, nil); err != nil {
			t.Fatal(err)
		}
		if got := a.Identity(); got.At != 10 || !slices.Contains(got.Nodes(), another) || len(got.Members) != 3 {
			t.Errorf("after index %d: %+v", at, got)
		}
	}
	noted, err := Load(dir, "c", 1)
	if err != nil || noted.At != 10 || !slices.Contains(noted.Nodes(), another) {
		t.Errorf("noted: %+v, %v", noted, err)
	}
}

// bring lets a node have the sessions of a single server.
func (v *village) bring(expect int) *Membership {
	m := v.add(v.t.TempDir(), expect)
	m.holds = true
	return m
}

func refused(m *Membership) string {
	select {
	case err := <-m.Refused():
		return err.Error()
	default:
		return ""
	}
}

// TestOneBringsSessions lets a cluster begin with the sessions of one node: alone, when
// all that are to belong to it are there.
func TestOneBringsSessions(t *testing.T) {
	v := newVillage(t)
	h := v.bring(3)
	a := v.add(t.TempDir(), 3)
	v.talk(h, a)
	v.talk(h, a)
	if begun(h) || begun(a) {
		t.Fatal("two of three have begun")
	}
	b := v.add(t.TempDir(), 3)
	v.talk(h, a, b)
	v.talk(h, a, b)
	v.talk(h, a, b)
	if i := h.Identity(); !begun(h) || !slices.Equal(i.Nodes(), []uint64{i.Node}) || !i.Founder() || !i.Adopts || i.Size != 3 {
		t.Fatalf("the node with sessions: begun %v, %+v", begun(h), h.Identity())
	}
	if begun(a) || begun(b) {
		t.Fatal("a node has begun with nothing")
	}
	if strangers := h.Strangers(1); len(strangers) != 2 {
		t.Errorf("%d wait to join", len(strangers))
	}
	again, err := Load(h.dir, "c", 1)
	if err != nil || !again.Adopts || again.Size != 3 {
		t.Errorf("noted: %+v, %v", again, err)
	}
	if err := h.Configured(9, h.identity.Nodes(), []uint64{a.Identity().Node}); err != nil {
		t.Fatal(err)
	}
	v.talk(h, a, b)
	if !begun(a) || a.identity.Founder() || begun(b) || refused(h)+refused(a)+refused(b) != "" {
		t.Error("the one that joins does not, or another does")
	}
}

// TestSessionsOfOneAlone is a cluster of one, which has them.
func TestSessionsOfOneAlone(t *testing.T) {
	dir := t.TempDir()
	i, err := Load(dir, "c", 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{Dir: dir, Identity: i, Expect: 1, Sessions: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil || !begun(m) || !m.Identity().Adopts {
		t.Errorf("it has not begun: %v", err)
	}
}

// TestTwoBringSessions lets no cluster begin with the sessions of two nodes.
func TestTwoBringSessions(t *testing.T) {
	v := newVillage(t)
	h, a, other := v.bring(3), v.add(t.TempDir(), 3), v.bring(3)
	for range 3 {
		v.talk(h, a, other)
	}
	for _, m := range v.nodes {
		if begun(m) {
			t.Error("a node has begun")
		}
	}
	for _, m := range []*Membership{h, other} {
		if why := refused(m); !strings.Contains(why, "the sessions of one only") {
			t.Errorf("refused: %q", why)
		}
	}
	if why := refused(a); why != "" {
		t.Errorf("the one without sessions: %s", why)
	}
}

// TestSessionsComeLate lets no node join that has sessions: they would be lost.
func TestSessionsComeLate(t *testing.T) {
	v := newVillage(t)
	a, b, c := v.add(t.TempDir(), 3), v.add(t.TempDir(), 3), v.add(t.TempDir(), 3)
	v.talk(a, b, c)
	v.talk(a, b, c)
	late := v.bring(3)
	v.talk(late, a)
	if why := refused(late); begun(late) || !strings.Contains(why, "begun already") {
		t.Errorf("begun %v, refused: %q", begun(late), why)
	}
}

// TestLag lets a node hear two leaders: one that does not know yet that it leads no longer,
// and the one that does. A third tells of another group.
func TestLag(t *testing.T) {
	v := newVillage(t)
	a, b, c := v.add(t.TempDir(), 3), v.add(t.TempDir(), 3), v.add(t.TempDir(), 3)
	v.talk(a, b, c)
	v.talk(a, b, c)
	of := a.identity.Node
	lags := func(term, entries uint64) Lags { return Lags{term, map[uint64]uint64{of: entries}} }
	expect := func(want uint64, known bool) {
		t.Helper()
		v.talk(v.nodes...)
		for _, m := range v.nodes[:2] {
			all := append(m.Peers(), m.Own())
			p := all[slices.IndexFunc(all, func(p Peer) bool { return p.Node == of })]
			if p.Lag != want || p.LagKnown != known {
				t.Errorf("it lacks %d (known: %v), want %d", p.Lag, p.LagKnown, want)
			}
		}
	}
	expect(0, false)
	a.SetLags(0, lags(5, 100))
	expect(100, true)
	b.SetLags(0, lags(6, 3))
	expect(3, true)
	c.SetLags(1, lags(2, 40))
	expect(43, true)
	a.SetLags(0, Lags{})
	b.SetLags(0, Lags{Term: 7})
	expect(40, true)
	v.nodes = v.nodes[:2]
	v.now = v.now.Add(time.Hour)
	expect(0, false) // c is silent
}

// TestTooOld lets a node wait that does not know the level of the log: it is told which
// version does, and the members report it once.
func TestTooOld(t *testing.T) {
	v := newVillage(t)
	a, b, c := v.add(t.TempDir(), 3), v.add(t.TempDir(), 3), v.add(t.TempDir(), 3)
	v.talk(a, b, c)
	v.talk(a, b, c)
	var reported bytes.Buffer
	a.logger = slog.New(slog.NewTextHandler(&reported, nil))
	log := Log{Level: group.Level(a.level), Program: "1.4"}
	a.log = log
	late := v.add(t.TempDir(), 3)
	v.talk(late, a)
	if why := refused(late); why != "" || reported.Len() > 0 {
		t.Errorf("a node that knows the level: %s, %s", why, &reported)
	}
	log.Level, log.Program = log.Level+1, "1.5"
	a.log = log
	for range 3 {
		v.talk(late, a, b) // b's level was noted when it was a member
	}
	if why := refused(late); begun(late) || !strings.Contains(why, "start version 1.5 or a later one") {
		t.Errorf("begun %v, refused: %q", begun(late), why)
	}
	if n := strings.Count(reported.String(), "a node cannot join"); n != 1 || !strings.Contains(reported.String(), "needed=1.5") {
		t.Errorf("it was reported %d times: %s", n, &reported)
	}
}

// TestNobodyBeginsWithoutTheSessions lets more nodes be there than are expected, one of
// them with sessions: those without do not begin with it among them.
func TestNobodyBeginsWithoutTheSessions(t *testing.T) {
	v := newVillage(t)
	h, a, b := v.bring(3), v.add(t.TempDir(), 3), v.add(t.TempDir(), 3)
	v.say(h, a)
	v.say(b, a)
	v.say(h, b)
	v.say(a, b) // both are ready for three
	v.add(t.TempDir(), 3)
	for range 3 {
		v.talk(v.nodes[1:]...)
	}
	for _, m := range v.nodes[1:] {
		if begun(m) {
			t.Error("a node has begun with nothing")
		}
	}
	v.say(a, h)
	v.say(b, h)
	if !begun(h) {
		t.Error("the one with sessions has not begun")
	}
}

// TestDrained lets a node be drained: it says so, and knows after a restart.
func TestDrained(t *testing.T) {
	v := newVillage(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := v.add(dirs[0], 2), v.add(dirs[1], 2)
	v.talk(a, b)
	v.talk(a, b)
	node := a.Identity().Node
	for _, want := range []bool{true, false, true} {
		if err := a.SetDrained(want); err != nil {
			t.Fatal(err)
		}
		v.say(a, b)
		if a.Drained(node) != want || b.Drained(node) != want || b.Unfit(node) != want || b.Peers()[0].Drained != want {
			t.Errorf("drained: %v, as another node has it: %v, unfit: %v, want %v", a.Drained(node), b.Drained(node), b.Unfit(node), want)
		}
	}
	if b.Drained(b.Identity().Node) || a.Drained(b.Identity().Node) || a.Drained(1) {
		t.Error("another node is drained")
	}
	b.HeardDrained(node, false)
	if b.Drained(node) {
		t.Error("it is drained, after it was heard that it is not")
	}
	if again := v.add(dirs[0], 2); !again.Drained(node) || !begun(again) {
		t.Error("after a restart it is not drained")
	}
	if again := v.add(dirs[1], 2); again.Drained(again.Identity().Node) { // as a file of an earlier version has it
		t.Error("a file that does not say makes a node drained")
	}
}

// TestZones lets nodes say in which zones they are: each knows it of the others, also of one
// that is away after a restart, and of one that has moved.
func TestZones(t *testing.T) {
	v := newVillage(t)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	a, b, c := v.add(dirs[0], 3), v.add(dirs[1], 3), v.add(dirs[2], 3)
	a.zone, b.zone = "a", "b" // c is of a version that does not say
	v.talk(a, b, c)
	v.talk(a, b, c)
	want := func(m *Membership, zones map[uint64]string) {
		t.Helper()
		if got := m.Zones(); !maps.Equal(got, zones) {
			t.Errorf("zones are %v, want %v", got, zones)
		}
	}
	nodeA, nodeB := a.Identity().Node, b.Identity().Node
	for _, m := range v.nodes {
		want(m, map[uint64]string{nodeA: "a", nodeB: "b"})
	}
	again := v.add(dirs[2], 3)
	want(again, map[uint64]string{nodeA: "a", nodeB: "b"})
	for _, p := range again.Peers() {
		if p.Node == nodeB && p.Zone != "b" {
			t.Errorf("a node that is away is in zone %q", p.Zone)
		}
	}
	b.zone = "moved"
	v.say(b, again)
	want(again, map[uint64]string{nodeA: "a", nodeB: "moved"})
	want(v.add(dirs[2], 3), map[uint64]string{nodeA: "a", nodeB: "moved"})
}
