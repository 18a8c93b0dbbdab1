package serve

import (
	"net/netip"
	"testing"
	"time"

	"cairn/origin"
)

// guest is a client that only stands in the lists.
type guest struct{ link Link }

func (g *guest) about() *Link { return &g.link }
func (g *guest) wake()        {}
func (g *guest) hangUp()      {}

// house is a server that has clients but no sockets.
type house struct {
	*Server
	now time.Time
}

func newHouse(a admission) *house {
	h := &house{Server: new(Server), now: time.Unix(0, 0)}
	h.clients.admission = a
	return h
}

// come lets a client of an origin ask to be let in, a second after the last one.
func (h *house) come(from origin.Origin) (g *guest, leaves client, ok bool) {
	h.now = h.now.Add(time.Second)
	g = &guest{Link{server: h.Server, origin: from, since: h.now}}
	leaves, ok = h.clients.admit(g)
	return g, leaves, ok
}

func remote(n byte) origin.Origin { return origin.OfAddr(netip.AddrFrom4([4]byte{192, 0, 2, n})) }

func TestStrangersMakeRoom(t *testing.T) {
	h := newHouse(admission{limit: 4, login: true})
	many1, _, _ := h.come(remote(1))
	few, _, _ := h.come(remote(2))
	many2, _, _ := h.come(remote(1))
	many3, _, _ := h.come(remote(1))
	few.link.Welcome()
	few.link.Welcome() // again, as SASL clients may
	for i, want := range []*guest{many1, many2, many3} {
		g, leaves, ok := h.come(remote(byte(3 + i)))
		if leaves != want || !ok {
			t.Fatalf("newcomer %d: %v left, want %v; let in: %v", i, leaves, want, ok)
		}
		g.link.Welcome()
	}
	if _, leaves, ok := h.come(remote(9)); ok {
		t.Errorf("let in, instead of %v, where all have logged in", leaves)
	}
	for _, cl := range []*guest{many1, many2, many3} {
		h.clients.remove(cl)
		h.clients.remove(cl) // both sides may notice
	}
	h.clients.remove(few)
	if _, leaves, ok := h.come(remote(9)); !ok || leaves != nil {
		t.Errorf("there is room: let in %v, %v left", ok, leaves)
	}
}

func TestAdministratorsHaveRoomOfTheirOwn(t *testing.T) {
	h := newHouse(admission{limit: 1, reserved: 1})
	h.come(remote(1))
	if _, _, ok := h.come(remote(2)); ok {
		t.Error("a second client was let in")
	}
	if _, _, ok := h.come(origin.OfUser(1)); !ok {
		t.Error("a local one was not")
	}
	if _, _, ok := h.come(origin.OfUser(1)); ok {
		t.Error("a second local one was")
	}
}

func TestConnectionsOfOneOriginAreLimited(t *testing.T) {
	h := newHouse(admission{limit: 100, perOrigin: 2})
	first, _, _ := h.come(remote(1))
	h.come(remote(1))
	if _, _, ok := h.come(remote(1)); ok {
		t.Error("a third one was let in")
	}
	if _, _, ok := h.come(remote(2)); !ok {
		t.Error("another origin was not")
	}
	for range 5 {
		if _, _, ok := h.come(origin.OfAddr(netip.IPv6Loopback())); !ok {
			t.Error("loopback is limited")
		}
	}
	h.clients.remove(first)
	if _, _, ok := h.come(remote(1)); !ok {
		t.Error("one left, and no other was let in")
	}
	if n := len(h.clients.origins); n != 3 {
		t.Errorf("%d origins are counted", n)
	}
}

func TestStrangersHaveADeadline(t *testing.T) {
	h := newHouse(admission{limit: 100, login: true, patience: time.Minute})
	late, _, _ := h.come(remote(1))
	alice, _, _ := h.come(remote(1))
	busy, _, _ := h.come(remote(1))
	alice.link.Welcome()
	busy.link.be(Streaming) // its password is being checked
	if list := h.clients.overdue(late.link.since.Add(time.Minute)); len(list) != 0 {
		t.Errorf("%d are overdue in time", len(list))
	}
	if list := h.clients.overdue(h.now.Add(time.Hour)); len(list) != 1 || list[0] != late {
		t.Errorf("overdue are %v", list)
	}
}
