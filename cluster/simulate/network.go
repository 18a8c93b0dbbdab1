package simulate

import "time"

// Network carries messages between numbered places.
type Network struct {
	World *World

	Drop, Duplicate float64       // of messages
	Low, High       time.Duration // a message's way; Late now and then
	Late            time.Duration

	cut map[[2]uint64]bool
}

// Send lets deliver happen once, several times, or never.
func (n *Network) Send(from, to uint64, deliver func()) {
	for {
		if !n.World.Chance(n.Drop) {
			way := n.World.Between(n.Low, n.High)
			if n.World.Chance(n.Duplicate) {
				way = n.World.Between(n.High, n.Late)
			}
			n.World.After(way, func() {
				if !n.cut[[2]uint64{from, to}] {
					deliver()
				}
			})
		}
		if !n.World.Chance(n.Duplicate) {
			return
		}
	}
}

// Cut lets nothing through from one place to another; the other way stays.
func (n *Network) Cut(from, to uint64) {
	if n.cut == nil {
		n.cut = make(map[[2]uint64]bool)
	}
	n.cut[[2]uint64{from, to}] = true
}

// Heal undoes all Cuts.
func (n *Network) Heal() { n.cut = nil }

// Calm makes the network a good one.
func (n *Network) Calm() {
	n.Drop, n.Duplicate = 0, 0
	n.Heal()
}
