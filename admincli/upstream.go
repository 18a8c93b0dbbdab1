package admincli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

func (a *app) upstreamCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upstream",
		Short: "Show how far a move from another store is",
	}
	status := &cobra.Command{
		Use:   "status",
		Short: "Show what was fetched, and when the old store can be left",
		Long: "Show what the server has fetched from the store that --upstream names, what that store has yet to be told,\n" +
			"and when every session there will have been fetched or have ended.",
		Example: "  cairn upstream status\n  cairn upstream status -o json | jq -e '.state == \"done\" and .pending_removals == 0'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			u, err := c.Upstream(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &u)
			}
			if u.State == "none" {
				return errors.New("the server has no upstream: no sessions are moved here")
			}
			return a.upstreamTable(&u)
		},
	}
	cmd.AddCommand(status)
	return cmd
}

func (a *app) upstreamTable(u *adminapi.Upstream) error {
	t := newTable(a.Stdout)
	for _, server := range u.Servers {
		state := "answers"
		switch {
		case server.Down:
			state = "does not answer: " + server.LastError
		case server.LastError != "":
			state += fmt.Sprintf(" (last error %s: %s)", moment(server.LastErrorAt), server.LastError)
		}
		t.row("Upstream", server.Address, state)
	}
	t.row("State", u.State, u.Ended)
	t.row("  since", moment(&u.Since))
	switch {
	case u.DoneAt != nil:
		t.row("  done at", moment(u.DoneAt))
	case u.NeverExpires:
		t.row("  done at", "unknown", "some sessions never expire")
	default:
		t.row("  done at", "unknown", "no session was stored yet")
	}
	if u.LastHit != nil {
		t.row("  last hit", moment(u.LastHit))
	}
	t.row("Fetched", count(u.Hits), count(u.Misses)+" absent there too")
	t.row("  failed", count(u.Errors), count(u.Unsuitable)+" unsuitable")
	t.row("Removed there", count(u.Removed), count(u.RemovedLater)+" not at once")
	t.row("  yet to be told", count(int64(u.PendingRemovals)))
	if u.Mirror {
		t.row("Copied", count(u.Copied), count(u.Refused)+" refused")
		t.row("  waiting", count(int64(u.Queue)), count(u.Dropped)+" dropped")
	}
	return t.Flush()
}
