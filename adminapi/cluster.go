package adminapi

import (
	"context"
	"net/http"
	"time"
)

// Cluster is a cluster as one of its nodes sees it.
type Cluster struct {
	Name    string         `json:"name" doc:"The cluster's; empty: the server is not a node of a cluster."`
	Node    string         `json:"node" doc:"The node that answers."`
	Removed bool           `json:"removed,omitempty" doc:"The node that answers was removed from the cluster, and only forwards requests to the others."`
	Nodes   []ClusterNode  `json:"nodes" nullable:"false" doc:"All nodes, this one first."`
	Groups  []ClusterGroup `json:"groups" nullable:"false" doc:"All groups."`
}

// ClusterNode is a node of a cluster.
type ClusterNode struct {
	Node       string `json:"node" doc:"Its number, which its data directory keeps."`
	Address    string `json:"address" doc:"At which other nodes reach it."`
	Zone       string `json:"zone" doc:"What it is in, as its --zone says: nodes in one zone may fail together. Empty: it has not said."`
	Version    string `json:"version" doc:"The version of its program. Empty: the node that answers has not heard of it since it was started, or is a proxy."`
	Self       bool   `json:"self" doc:"It is the one that answers."`
	Member     bool   `json:"member" doc:"It belongs to the cluster. false: it is there, and waits to be added, or to take the place of a node that is gone."`
	Learner    bool   `json:"learner" doc:"It gets a copy of the sessions, or has caught up and is a spare: what it has on disk does not count."`
	Connected  bool   `json:"connected" doc:"The node that answers has a connection to it."`
	Drained    bool   `json:"drained" doc:"It was drained: it is not ready, so that it gets no new clients, and leads only while no other node can. It replicates and votes as before."`
	ClockWrong bool   `json:"clock_wrong" doc:"Its clock is more than 5 s away from the median of the members' clocks, so it does not lead."`
	Leads      int    `json:"leads" doc:"How many groups it leads."`

	Lag       *int64  `json:"lag,omitempty" doc:"How many entries of the log its replica lacks, as the leader has said within the last seconds: those that it has not acknowledged to have on disk. Missing: no leader is heard of, or one of an earlier version."`
	RoundTrip float64 `json:"round_trip_seconds,omitempty" doc:"How long it took to answer the node that answers this request, at the last of the measurements that there are each second. Missing: it has no connection, or is that node itself."`
	DiskFull  bool    `json:"disk_full,omitempty" doc:"Its disk is full, or below --disk-reserve: it leads only while no other node can."`
	DiskFree  int64   `json:"disk_free_bytes,omitempty" doc:"Free space of its data directory's file system, as it said last."`
	DiskTotal int64   `json:"disk_size_bytes,omitempty" doc:"Size of that file system. Missing: it has not said so."`
}

// ClusterGroup is a group of a cluster, as its replica on the node that answers sees
// it.
type ClusterGroup struct {
	Group     int    `json:"group"`
	Leader    string `json:"leader" doc:"The node that leads it; empty: none does, as far as this node knows."`
	Leads     bool   `json:"leads" doc:"The node that answers leads it."`
	Term      int64  `json:"term" doc:"How many elections there were, about."`
	Committed int64  `json:"committed" doc:"Index up to which most nodes have the log on disk."`
	Applied   int64  `json:"applied" doc:"Index up to which this node has carried it out."`
	Agreed    int64  `json:"agreed" doc:"Latest index at which the replicas of all members were compared and had the same; 0: this node has not heard of one since it was started."`
	Differs   bool   `json:"differs,omitempty" doc:"The replica of the node that answers differs from most others, and is about to be replaced by a copy of another."`
	Level     int    `json:"level" doc:"Which entries the log may have: the highest level that all members know. 0: the node that answers has no replica."`

	Elections []ClusterElection `json:"elections,omitempty" doc:"The last ten changes of its leader that the node that answers has seen since it was started, the latest first."`
}

// ClusterElection is a change of who leads a group.
type ClusterElection struct {
	At     time.Time `json:"at" doc:"When the node that answers came to know of it."`
	Term   int64     `json:"term"`
	Leader string    `json:"leader" doc:"The node that led from then on; empty: none did, as far as was known."`
}

// ClusterChange is what is to become of a node.
type ClusterChange struct {
	Op    string `json:"op" enum:"add,remove,replace,transfer,drain,undrain" doc:"add: a node that waits becomes a member, one more than before. remove: a member is none any more, one less than before. replace: a new node takes the place of a member, once it has caught up. transfer: a member leads. drain: a member is not ready from now on, and leads only while no other can; its clients stay connected. undrain: it is as before."`
	Node  string `json:"node,omitempty" pattern:"^([0-9a-f]{16})?$" doc:"Its number. For transfer, none lets any other node lead."`
	Force bool   `json:"force,omitempty" doc:"For remove: also if fewer than three members stay."`
}

// ChangeCluster changes what the members of the cluster are to be, or who leads. Members
// come and go later, when that is safe: the answer is the cluster at present.
func (c *Client) ChangeCluster(ctx context.Context, change ClusterChange) (Cluster, error) {
	var now Cluster
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/cluster"}, &change, &now)
	return now, err
}

// NoCluster is what a server says that is no node of a cluster.
func NoCluster() Cluster {
	return Cluster{Nodes: []ClusterNode{}, Groups: []ClusterGroup{}}
}

// Cluster returns the cluster as the server sees it.
func (c *Client) Cluster(ctx context.Context) (Cluster, error) {
	return get[Cluster](ctx, c, "/v1/cluster", nil)
}
