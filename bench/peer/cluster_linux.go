package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cairn/bench/dialect"
	"cairn/freeport"
)

// StartCluster runs a Cairn as so many nodes of one cluster, and waits until one of them
// leads. The caller stops them.
func (s Spec) StartCluster(ctx context.Context, nodes int, o Options) (servers []*Server, err error) {
	const attempts = 3 // somebody else may take a free port in between
	for range attempts {
		if servers, err = s.startNodes(ctx, nodes, o); err == nil {
			if _, err = leaderBefore(ctx, servers, time.Now().Add(startLimit)); err == nil {
				return servers, nil
			}
		}
		if err = errors.Join(err, discard(servers)); ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("peer: %s as %d nodes: %w", s.Name, nodes, err)
}

// startNodes starts the processes. On an error, too, the caller ends those that it returns.
func (s Spec) startNodes(ctx context.Context, nodes int, o Options) (servers []*Server, err error) {
	var addresses []string
	for range nodes {
		address, err := freeport.Address()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	for i, address := range addresses {
		node := s
		node.Args = append(slices.Clone(s.Args), "--cluster-listen", address, "--join", strings.Join(addresses, ","),
			"--bootstrap-expect", strconv.Itoa(nodes))
		server := &Server{Spec: node, options: o}
		server.options.Dir = filepath.Join(o.Dir, fmt.Sprint("node-", i+1))
		if err := os.MkdirAll(server.options.Dir, 0o700); err != nil {
			return servers, err
		}
		if err := server.launch(); err != nil {
			return servers, err
		}
		servers = append(servers, server)
	}
	for _, server := range servers {
		if err := server.awaitReady(ctx); err != nil {
			return servers, fmt.Errorf("%s does not answer: %w\n%s", server.Address, err, server.logTail())
		}
	}
	return servers, nil
}

// discard ends servers, and deletes their files.
func discard(servers []*Server) (err error) {
	for _, server := range servers {
		server.Kill()
		err = errors.Join(err, server.Remove())
	}
	return err
}

// leaderLimit is for how long a cluster may have no leader.
const leaderLimit = time.Minute

// Leader returns which of the nodes of a Cairn's cluster leads all groups, and waits for
// an election if none does.
func Leader(ctx context.Context, nodes []*Server) (int, error) {
	return leaderBefore(ctx, nodes, time.Now().Add(leaderLimit))
}

func leaderBefore(ctx context.Context, nodes []*Server, deadline time.Time) (int, error) {
	for {
		for i, n := range nodes {
			metrics, err := n.Metrics(ctx)
			if err != nil {
				return 0, errors.Join(err, n.Ended())
			}
			if groups := metrics["cairn_cluster_groups"]; groups > 0 && metrics["cairn_cluster_groups_led"] == groups {
				return i, nil
			}
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("peer: %s: no node leads", nodes[0].Spec.Name)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// StartReplicated runs a Redis that syncs each write and so many replicas of it, and waits
// until these have caught up. The first one is the primary, which clients use. The caller
// stops them.
func (s Spec) StartReplicated(ctx context.Context, replicas int, o Options) (servers []*Server, err error) {
	start := func(spec Spec, name string) error {
		own := o
		own.Dir = filepath.Join(o.Dir, name)
		server, err := spec.Start(ctx, own)
		if err == nil {
			servers = append(servers, server)
		}
		return err
	}
	primary := s
	primary.Base = redisPrimary
	primary.Args = append(slices.Clone(s.Args), "--repl-diskless-sync-delay", "0")
	err = start(primary, "primary")
	for i := 0; err == nil && i < replicas; i++ {
		replica := s
		host, port, _ := strings.Cut(servers[0].Address, ":")
		replica.Args = append(slices.Clone(s.Args), "--replicaof", host, port)
		err = start(replica, fmt.Sprint("replica-", i+1))
	}
	if err == nil {
		err = servers[0].awaitReplicas(ctx, replicas)
	}
	if err != nil {
		return nil, errors.Join(err, discard(servers))
	}
	return servers, nil
}

// awaitReplicas waits until so many replicas of a Redis have what it has.
func (s *Server) awaitReplicas(ctx context.Context, want int) error {
	for deadline := time.Now().Add(startLimit); ; {
		online := 0
		err := ask(s.Address, new(dialect.Redis), []byte("*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n"), func(r dialect.Reply) {
			online = strings.Count(string(r.Value), "state=online")
		})
		if err != nil {
			return errors.Join(fmt.Errorf("peer: %s: %w", s.Spec.Name, err), s.Ended())
		}
		if online == want {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("peer: %s has %d replicas, not %d\n%s", s.Spec.Name, online, want, s.logTail()), ctx.Err())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Ended says how the server has ended, and what it said last; nil: it runs.
func (s *Server) Ended() error {
	select {
	case <-s.exited:
		return fmt.Errorf("peer: %s at %s has ended: %v\n%s", s.Spec.Name, s.Address, s.state, s.logTail())
	default:
		return nil
	}
}
