package membership

import "slices"

// Clients are the addresses of the nodes that clients may use, as discovery names them.
// The version rises whenever the addresses change, and does not fall at any node: clients
// that have asked one node, and ask another, take nothing that is older than what they
// have.
//
// Nodes find out at different moments that another is away, and tell each other what they
// would answer. A change makes the version higher than any that a node has heard of, and
// nodes that have the same addresses take the highest version among them: so what they
// agree on in the end is later than all that any of them has said before. Each notes the
// version before it says it. It is also at least the time, for nodes that take the place of
// all others; clocks that differ do no harm. It is in seconds, since some clients read a
// number of 32 bits.
type Clients struct {
	Version   int64    `json:"version"`
	Addresses []string `json:"addresses"`
}

// maxVersion is what no version comes to.
const maxVersion = 1 << 50

// Clients are those that FindClients has found last. They are not to be changed.
func (m *Membership) Clients() Clients { return *m.clients.Load() }

// FindClients looks which nodes there are now for clients. The error says that a version
// could not be noted, and may be given again after a restart.
func (m *Membership) FindClients() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := *m.clients.Load()
	now := m.clientAddresses()
	changed := len(now) > 0 && !slices.Equal(now, found.Addresses) // with none, what there was last is better
	if changed {
		found = Clients{max(m.seconds(), found.Version) + 1, now}
	}
	for _, o := range m.others {
		c := o.state.Clients
		switch {
		case c == nil || c.Version >= maxVersion:
		case slices.Equal(c.Addresses, found.Addresses):
			found.Version = max(found.Version, c.Version)
		case changed:
			found.Version = max(found.Version, c.Version+1)
		}
	}
	if found.Version == m.identity.Clients {
		return nil
	}
	i := m.identity
	i.Clients = found.Version
	err := m.note(i)
	m.clients.Store(&found)
	return err
}

// seconds are the later one of the times of this node's clock and of the log. The lock is
// held.
func (m *Membership) seconds() int64 {
	clock := m.now
	if m.clock != nil {
		clock = m.clock
	}
	return max(clock().Unix(), m.log.Clock.Unix())
}

// clientAddresses are those of the members that were heard of lately, and count; ascending.
// Drained ones are among them only if all are drained. The lock is held.
func (m *Membership) clientAddresses() (addresses []string) {
	var drained []string
	for _, x := range m.identity.Members {
		client, isDrained := x.Client, false
		if o := m.others[x.Node]; o != nil {
			isDrained = o.state.Drained
		}
		if x.Node == m.identity.Node {
			client, isDrained = m.client, m.identity.Drained
		}
		switch {
		case x.Learner || client == "" || m.silent(x.Node) > forgetAfter:
		case isDrained:
			drained = append(drained, client)
		default:
			addresses = append(addresses, client)
		}
	}
	if len(addresses) == 0 {
		addresses = drained
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}
