package admincli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// nodeNumber is the form of a node's number.
var nodeNumber = regexp.MustCompile(`^[0-9a-f]{16}$`)

func (a *app) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Show and change the nodes of a cluster",
	}
	status := &cobra.Command{
		Use:     "status",
		Short:   "Show the nodes of a cluster, who leads, and how far they are",
		Long:    "Show the nodes of the cluster as the server sees them: which of them leads, how many entries of the log each lacks,\nthe round trip to it and its disk; how far the server has applied the log, and the last elections that it has seen.",
		Example: "  cairn cluster status\n  cairn cluster status -o json | jq -e 'all(.groups[]; .leader != \"\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := a.clusterStatus(cmd.Context())
			switch {
			case err != nil:
				return err
			case a.json():
				return printJSON(a.Stdout, status)
			case status.Name == "":
				return errNoCluster
			}
			return a.clusterTable(status)
		},
	}
	members := &cobra.Command{
		Use:     "members",
		Short:   "List the members of a cluster, for scripts",
		Long:    "List the members of the cluster, a line each: number, address, zone, version and state, apart by tabs; - where there is\nnone. A node that waits to be added is no member, and one that gets a copy of the sessions is.",
		Example: "  cairn cluster members\n  cairn cluster members | awk -F'\\t' '$5 ~ /leads/ {print $1}'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := a.clusterStatus(cmd.Context())
			if err == nil && status.Name == "" {
				err = errNoCluster
			}
			if err != nil {
				return err
			}
			members := slices.DeleteFunc(status.Nodes, func(n adminapi.ClusterNode) bool { return !n.Member })
			if a.json() {
				return printJSON(a.Stdout, members)
			}
			for _, n := range members {
				_, err = fmt.Fprintf(a.Stdout, "%s\t%s\t%s\t%s\t%s\n", n.Node, n.Address, cmp.Or(n.Zone, "-"), cmp.Or(n.Version, "-"), nodeState(&n))
			}
			return err
		},
	}
	cmd.AddCommand(status, members, a.clusterChange("add", "Add a waiting node to the members"),
		a.clusterChange("remove", "Remove a member"),
		a.clusterChange("replace", "Replace a member with a new node, once that has caught up"),
		a.clusterChange("transfer", "Make another member the leader"),
		a.clusterChange("drain", "Take a member out of service, without removing it"))
	return cmd
}

var errNoCluster = errors.New("the server is not a node of a cluster")

// clusterStatus asks the server for its cluster, whose name is empty if it is in none.
func (a *app) clusterStatus(ctx context.Context) (*adminapi.Cluster, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	status, err := c.Cluster(ctx)
	return &status, err
}

// clusterChange is a command that changes the cluster.
func (a *app) clusterChange(op, short string) *cobra.Command {
	change, undo := adminapi.ClusterChange{Op: op}, false
	cmd := &cobra.Command{
		Use:     op + " NODE",
		Short:   short,
		Long:    short + ".\n\nNODE is its number, as 'cairn cluster status' shows it. Any node of the cluster takes the command.\nThe change happens later, one step at a time, when it is safe: 'cairn cluster status' shows it.",
		Example: "  cairn cluster " + op + " 1f3870be274f6c49",
		Args:    cobra.ExactArgs(1),
	}
	switch op {
	case "transfer":
		cmd.Use, cmd.Args = "transfer [NODE]", cobra.MaximumNArgs(1)
		cmd.Long = short + ".\n\nNODE is its number, as 'cairn cluster status' shows it. Any node of the cluster takes the command, which returns when it is done."
		cmd.Example = "  cairn cluster transfer"
	case "drain":
		cmd.Long = short + ".\n\nNODE is its number, as 'cairn cluster status' shows it. Any node of the cluster takes the command.\n" +
			"The node hands over the lead, and does not lead again while another can. Its /readyz is false with the\nreason 'drained', so that load balancers send it no new clients. Those that are connected stay, and it\nreplicates and votes as before. This lasts, over restarts, until --undo."
		cmd.Flags().BoolVar(&undo, "undo", false, "put it back into service")
	case "remove":
		cmd.Flags().BoolVar(&change.Force, "force", false, "also if fewer than three members stay")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			change.Node = args[0]
			if !nodeNumber.MatchString(change.Node) {
				return usagef("%q is not the number of a node: that is 16 digits, as 'cairn cluster status' shows them", change.Node)
			}
		}
		if undo {
			change.Op = "undrain"
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		now, err := c.ChangeCluster(cmd.Context(), change)
		if err != nil {
			return err
		}
		if a.json() {
			return printJSON(a.Stdout, &now)
		}
		return a.clusterTable(&now)
	}
	return cmd
}

func (a *app) clusterTable(c *adminapi.Cluster) error {
	t := newTable(a.Stdout)
	t.row("Cluster", c.Name)
	for _, n := range c.Nodes {
		state := nodeState(&n)
		if n.Zone != "" {
			state += ", zone " + n.Zone
		}
		if n.Version != "" {
			state += ", version " + n.Version
		}
		t.row("Node", n.Node, n.Address, state+nodeFigures(&n))
	}
	for _, g := range c.Groups {
		t.row("Group", fmt.Sprint(g.Group), cmp.Or(g.Leader, "no leader"), fmt.Sprintf("term %d, %d of %d entries applied here, level %d%s", g.Term, g.Applied, g.Committed, g.Level, equality(&g)))
		for _, e := range g.Elections {
			t.row("Election", fmt.Sprint(g.Group), cmp.Or(e.Leader, "no leader"), fmt.Sprintf("term %d, %s", e.Term, moment(&e.At)))
		}
	}
	return t.Flush()
}

// equality says what is known of a group's replicas.
func equality(g *adminapi.ClusterGroup) string {
	switch {
	case g.Differs:
		return ", this node's replica differs from most"
	case g.Agreed > 0:
		return fmt.Sprintf(", replicas are the same up to entry %d", g.Agreed)
	}
	return ""
}

// nodeFigures says how far a node is behind, and how its disk and the way to it are.
func nodeFigures(n *adminapi.ClusterNode) (text string) {
	if n.Lag != nil {
		text += ", " + count(*n.Lag) + " entries behind"
	}
	if n.RoundTrip > 0 {
		text += ", round trip " + secondsSpan(n.RoundTrip)
	}
	switch {
	case n.DiskFull:
		text += ", disk full"
	case n.DiskTotal > 0:
		text += ", " + size(n.DiskFree) + " of disk free"
	}
	return text
}

func nodeState(n *adminapi.ClusterNode) string {
	state := "no connection"
	switch {
	case n.Self:
		state = "answers"
	case n.Connected:
		state = "connected"
	}
	if !n.Member {
		state += ", not a member"
	}
	if n.Learner {
		state += ", learns"
	}
	if n.ClockWrong {
		state += ", wrong clock"
	}
	if n.Drained {
		state += ", drained"
	}
	if n.Leads > 0 {
		state += ", leads"
	}
	return state
}
