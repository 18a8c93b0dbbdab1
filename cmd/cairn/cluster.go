package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"cairn/adminapi"
	"cairn/cluster"
	"cairn/cluster/group"
	"cairn/cluster/membership"
	"cairn/cluster/peer"
	"cairn/cmd/cairn/config"
	"cairn/engine"
	"cairn/httpapi"
	"cairn/session"
)

// keepAlone is the opener of a store that is none of a cluster's.
func keepAlone(o engine.Options, writable func(keeper, error)) (keeper, error) {
	switch begun, err := membership.Begun(o.Dir); {
	case err != nil:
		return nil, err
	case begun:
		return nil, fmt.Errorf("%s has the sessions of a node of a cluster: start it with --cluster-listen, or name another data directory", o.Dir)
	}
	return openEngine(o, writable)
}

// keepTogether returns the opener of a node of a cluster. To open it waits, until ctx
// is done, for the cluster to begin.
func (s *server) keepTogether(ctx context.Context) (opener, error) {
	security, err := s.clusterSecurity()
	if err != nil {
		return nil, err
	}
	return func(o engine.Options, _ func(keeper, error)) (keeper, error) {
		l, err := net.Listen("tcp", s.cfg.ClusterListen)
		if err != nil {
			return nil, err
		}
		n, err := cluster.Open(ctx, cluster.Options{
			Engine:   o,
			Cluster:  s.cfg.ClusterName,
			Listener: l,
			Address:  s.cfg.ClusterAdvertise,
			Client:   s.cfg.ClientAddress(),
			Zone:     s.cfg.Zone,
			Join:     s.cfg.Join,
			Expect:   s.cfg.BootstrapExpect,
			Security: security,
			Program:  version,
			Patience: s.cfg.Patience,

			ReplaceAfter: s.cfg.ReplaceAfter,
			SlowFailover: !s.cfg.FastFailover,
			Fatal:        s.store.fatal,
		})
		if err != nil {
			return nil, err
		}
		s.node.Store(n)
		return n, nil
	}, nil
}

// clusterSecurity loads the certificates of nodes; nil: they talk in plaintext.
func (s *server) clusterSecurity() (*peer.Security, error) {
	if s.cfg.ClusterCert == "" {
		return nil, nil
	}
	security, err := peer.LoadSecurity(s.cfg.ClusterCert, s.cfg.ClusterKey, s.cfg.ClusterCA)
	if err == nil {
		s.reloads.add("cluster certificates", security.Reload)
	}
	return security, err
}

// clusterStatus is the cluster as this node sees it.
func (s *server) clusterStatus() adminapi.Cluster {
	var status cluster.Status
	switch n, p := s.node.Load(), s.proxy.Load(); {
	case s.store.away.Load():
		return adminapi.NoCluster()
	case n != nil:
		status = n.Status()
	case p != nil:
		status = p.Status()
	default:
		return adminapi.NoCluster()
	}
	c := adminapi.Cluster{Name: status.Cluster, Node: nodeNumber(status.Node), Removed: status.Removed, Nodes: []adminapi.ClusterNode{}, Groups: []adminapi.ClusterGroup{}}
	for _, node := range status.Nodes {
		out := adminapi.ClusterNode{
			Node: group.FormatNode(node.Node), Address: node.Address, Self: node.Node == status.Node,
			Member: node.Member, Learner: node.Learner, Connected: node.Connected, Leads: node.Leads,
			Drained: node.Drained, Zone: node.Zone, ClockWrong: node.ClockWrong, Version: node.Program,
			RoundTrip: node.RoundTrip.Seconds(), DiskFull: node.Full, DiskFree: node.Disk.Free, DiskTotal: node.Disk.Total,
		}
		if node.LagKnown {
			out.Lag = new(int64(node.Lag))
		}
		c.Nodes = append(c.Nodes, out)
	}
	for _, g := range status.Groups {
		out := adminapi.ClusterGroup{Group: g.Group, Leads: g.Leads, Term: int64(g.Term), Committed: int64(g.Committed), Applied: int64(g.Applied), Agreed: int64(g.Agreed), Differs: g.Suspect, Level: int(g.Level), Leader: nodeNumber(g.Leader)}
		for _, e := range g.Elections {
			out.Elections = append(out.Elections, adminapi.ClusterElection{At: e.At, Term: int64(e.Term), Leader: nodeNumber(e.Leader)})
		}
		c.Groups = append(c.Groups, out)
	}
	return c
}

// nodeNumber is a node's number for people; "" for 0, which is none.
func nodeNumber(node uint64) string {
	if node == 0 {
		return ""
	}
	return group.FormatNode(node)
}

// clientNodes are what discovery names: the nodes of the cluster that answer now, or the
// proxy, whose clients are to stay at it.
func (s *server) clientNodes() (addresses []string, version int64) {
	if s.cfg.Proxy() {
		if address := s.cfg.ClientAddress(); address != "" {
			return []string{address}, 1
		}
		return nil, 0
	}
	if n := s.node.Load(); n != nil {
		return n.Clients()
	}
	return nil, 0
}

// changeCluster carries out an operator's order.
func (s *server) changeCluster(ctx context.Context, c adminapi.ClusterChange) error {
	n := s.node.Load()
	if n == nil || s.store.away.Load() {
		return session.ErrUnavailable
	}
	o := cluster.Order{Op: cluster.OrderOp(c.Op), Force: c.Force}
	if c.Node != "" {
		var err error
		if o.Node, err = strconv.ParseUint(c.Node, 16, 64); err != nil {
			return err
		}
	}
	err := n.Order(ctx, o)
	var refused *cluster.OrderError
	if errors.As(err, &refused) {
		return &httpapi.Refusal{Text: refused.Text}
	}
	return err
}

// stoppedBeforeBegin reports whether err is that of a start that was stopped while it
// waited for the cluster to begin.
func stoppedBeforeBegin(ctx context.Context, cfg *config.Config, err error) bool {
	return cfg.Clustered() && ctx.Err() != nil && errors.Is(err, context.Canceled)
}
