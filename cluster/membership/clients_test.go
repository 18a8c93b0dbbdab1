package membership

import (
	"slices"
	"testing"
	"time"
)

// discovery is a village whose nodes answer discovery, and a client that asks one after the
// other, as ElastiCache's do: it takes an answer whose version is higher than what it has.
type discovery struct {
	*village
	latest map[*Membership]int64 // version that each has answered last
	has    Clients
}

func (d *discovery) add(client string) *Membership {
	m := d.village.add(d.t.TempDir(), 3)
	m.client = client
	return m
}

func (d *discovery) find(m *Membership) Clients {
	d.t.Helper()
	if err := m.FindClients(); err != nil {
		d.t.Fatal(err)
	}
	return m.Clients()
}

// answers is what a node answers. Its version must not have fallen.
func (d *discovery) answers(m *Membership) Clients {
	d.t.Helper()
	c := d.find(m)
	if c.Version < d.latest[m] {
		d.t.Errorf("the version has fallen from %d to %d", d.latest[m], c.Version)
	}
	d.latest[m] = c.Version
	if c.Version > d.has.Version {
		d.has = c
	}
	return c
}

// agree lets nodes talk until they answer the same, which must be want, and which the
// client, which has asked all of them at all times, must come to have.
func (d *discovery) agree(nodes []*Membership, want ...string) {
	d.t.Helper()
	for range 3 {
		d.talk(nodes...)
		for _, m := range nodes {
			d.answers(m)
		}
	}
	for _, m := range nodes {
		if c := d.answers(m); !slices.Equal(c.Addresses, want) || c.Version != d.has.Version {
			d.t.Errorf("a node answers %+v, want %q with version %d", c, want, d.has.Version)
		}
	}
	if !slices.Equal(d.has.Addresses, want) {
		d.t.Errorf("the client has %+v, want %q", d.has, want)
	}
}

// TestClients lets nodes go, come back, be drained and restart, while their clocks are
// apart, and each finds out at another moment.
func TestClients(t *testing.T) {
	d := &discovery{village: newVillage(t), latest: map[*Membership]int64{}}
	a, b, c := d.add("a:1"), d.add("b:1"), d.add("c:1")
	ahead := func() time.Time { return d.now.Add(time.Hour) }
	a.clock = ahead
	d.talk(a, b, c)
	d.talk(a, b, c)
	d.agree([]*Membership{a, b, c}, "a:1", "b:1", "c:1")
	all := d.has.Version

	// c is silent. b hears from it for longer than a.
	for range 4 {
		d.now = d.now.Add(time.Second)
		d.talk(a, b)
		d.answers(a)
		d.answers(b)
	}
	d.agree([]*Membership{a, b}, "a:1", "b:1")
	if d.has.Version <= all {
		t.Errorf("one node less has version %d, all had %d", d.has.Version, all)
	}
	d.say(c, b)
	d.answers(b) // and the client has three again, while a has two
	d.answers(a)
	d.agree([]*Membership{a, b, c}, "a:1", "b:1", "c:1")

	if err := c.SetDrained(true); err != nil {
		t.Fatal(err)
	}
	d.agree([]*Membership{a, b, c}, "a:1", "b:1")
	for _, m := range []*Membership{a, b} {
		if err := m.SetDrained(true); err != nil {
			t.Fatal(err)
		}
	}
	d.agree([]*Membership{a, b, c}, "a:1", "b:1", "c:1") // better than nobody
	for _, m := range []*Membership{a, b, c} {
		if err := m.SetDrained(false); err != nil {
			t.Fatal(err)
		}
	}

	// A node starts again, with another address, and a clock that is right now. It has heard
	// nobody, and knows the others from before.
	before := d.has
	d.nodes = nil
	again := d.village.add(a.dir, 3)
	again.client, d.latest[again] = "a:2", d.latest[a]
	if now := d.find(again); !slices.Equal(now.Addresses, []string{"a:2", "b:1", "c:1"}) {
		t.Errorf("a node that starts answers %q", now.Addresses)
	}
	d.agree([]*Membership{again, b, c}, "a:2", "b:1", "c:1")
	if d.has.Version <= before.Version {
		t.Errorf("another address has version %d, before %d", d.has.Version, before.Version)
	}

	// A node of an earlier version names no address.
	b.client = ""
	d.agree([]*Membership{again, b, c}, "a:2", "c:1")

	// All start again within the same second.
	before = d.has
	var restarted []*Membership
	for _, m := range []*Membership{again, b, c} {
		n := d.village.add(m.dir, 3)
		n.client = m.client
		n.clock = ahead
		d.latest[n] = d.latest[m]
		restarted = append(restarted, n)
	}
	d.agree(restarted, "a:2", "c:1")
	d.now = d.now.Add(time.Hour)
	d.talk(restarted[0])
	if only := d.answers(restarted[2]); !slices.Equal(only.Addresses, []string{"c:1"}) || only.Version <= before.Version {
		t.Errorf("a node that hears nobody answers %+v", only)
	}
}

// TestClientsOfLearner lets a node that does not count yet be named by nobody, itself among
// them, and a version that is too high to be one not be believed.
func TestClientsOfLearner(t *testing.T) {
	d := &discovery{village: newVillage(t), latest: map[*Membership]int64{}}
	a, b, c := d.add("a:1"), d.add("b:1"), d.add("c:1")
	d.talk(a, b, c)
	d.talk(a, b, c)
	for _, m := range d.nodes {
		if err := m.Configured(5, []uint64{a.identity.Node, b.identity.Node}, []uint64{c.identity.Node}); err != nil {
			t.Fatal(err)
		}
	}
	d.agree(d.nodes, "a:1", "b:1")
	c.clients.Store(&Clients{1 << 62, c.Clients().Addresses})
	d.say(c, a)
	if now := d.answers(a); now.Version > d.now.Unix()+100 {
		t.Errorf("version %d", now.Version)
	}
}

// TestLastWord lets a node whose clock is ahead tell the client of a third one, and go. The
// other, which has not heard of the third, knows that there was a later word than its own.
func TestLastWord(t *testing.T) {
	d := &discovery{village: newVillage(t), latest: map[*Membership]int64{}}
	a, b, c := d.add("a:1"), d.add("b:1"), d.add("c:1")
	a.clock = func() time.Time { return d.now.Add(time.Hour) }
	d.talk(a, b, c)
	d.talk(a, b, c)
	d.now = d.now.Add(time.Hour) // c is silent
	d.agree([]*Membership{a, b}, "a:1", "b:1")
	d.say(c, a)
	d.answers(a)
	if !slices.Equal(d.has.Addresses, []string{"a:1", "b:1", "c:1"}) {
		t.Fatalf("the client has %+v", d.has)
	}
	d.say(a, b)
	d.now = d.now.Add(time.Minute)
	d.agree([]*Membership{b}, "b:1")
}
