package httpapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cairn/adminapi"
)

type clusterOutput struct{ Body adminapi.Cluster }

func (s *Server) getCluster(context.Context, *struct{}) (*clusterOutput, error) {
	now, ok := s.cluster()
	if !ok {
		now = adminapi.NoCluster()
	}
	return &clusterOutput{Body: now}, nil
}

// cluster returns the cluster that the server belongs to at present. ok is false if
// it belongs to none; a cluster may well have no name and no groups yet.
func (s *Server) cluster() (now adminapi.Cluster, ok bool) {
	if s.options.Cluster == nil {
		return adminapi.Cluster{}, false
	}
	return s.options.Cluster(), true
}

// Refusal is the error of a request that makes sense, and cannot be carried out as
// things are.
type Refusal struct{ Text string }

func (e *Refusal) Error() string { return e.Text }

// clusterTime is how long a change may wait for a leader.
const clusterTime = 10 * time.Second

func (s *Server) changeCluster(ctx context.Context, in *struct{ Body adminapi.ClusterChange }) (*clusterOutput, error) {
	change := in.Body
	switch {
	case s.options.ChangeCluster == nil:
		return nil, huma.Error501NotImplemented("this server is not a node of a cluster")
	case change.Node == "" && change.Op != "transfer":
		return nil, invalid("body.node", errors.New("which node is missing"))
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTime)
	defer cancel()
	err := s.options.ChangeCluster(ctx, change)
	note(ctx, fmt.Sprintf("cluster: %s node %s", change.Op, change.Node))
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		return nil, huma.Error409Conflict(refused.Text)
	case err != nil:
		return nil, failure(err)
	}
	return s.getCluster(ctx, nil)
}

// drained reports whether the node that answers is.
func drained(c *adminapi.Cluster) bool {
	return slices.ContainsFunc(c.Nodes, func(n adminapi.ClusterNode) bool { return n.Self && n.Drained })
}

// leaderless reports whether a node does not know who leads each of its groups.
func leaderless(c *adminapi.Cluster) bool {
	for _, g := range c.Groups {
		if g.Leader == "" {
			return true
		}
	}
	return len(c.Groups) == 0
}
