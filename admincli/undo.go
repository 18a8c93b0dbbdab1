package admincli

import (
	"fmt"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// undoCommand is about what was deleted and can come back.
func (a *app) undoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undo",
		Short: "Bring back the sessions of a flush, a bulk delete or a kick of many",
		Long: "Bring back the sessions of a flush, a bulk delete or a kick of more than 100, for as long as the server's --undo\n" +
			"says. What has expired, what others have deleted since and what is there again is left as it is.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(a.undoListCommand(), a.undoApplyCommand(), a.undoRemoveCommand())
	return cmd
}

func (a *app) undoListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List what can be undone, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.UndoPoints(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &list)
			}
			t := newTable(a.Stdout)
			t.row("ID", "AT", "UNTIL", "SESSIONS BEFORE", "WHAT")
			for i := range list.Points {
				p := &list.Points[i]
				what := p.Reason
				if p.Problem != "" {
					what += " (" + p.Problem + ")"
				}
				t.row(p.ID, moment(&p.At), moment(&p.ExpiresAt), count(p.Sessions), what)
			}
			return t.Flush()
		},
	}
}

func (a *app) undoApplyCommand() *cobra.Command {
	var keys keyFlag
	var prefix string
	var afterCrash bool
	cmd := &cobra.Command{
		Use:               "apply ID",
		Short:             "Bring back the sessions of an undo point",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeUndo,
		RunE: func(cmd *cobra.Command, args []string) error {
			begin, err := keys.decode(prefix)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			result, err := c.Undo(cmd.Context(), args[0], begin, afterCrash)
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &result)
			}
			fmt.Fprintf(a.Stdout, "%s sessions are back; %s were there, %s were deleted by others since\n",
				count(result.Restored), count(result.Present), count(result.Deleted))
			return nil
		},
	}
	keys.add(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "only sessions whose keys begin with `text`")
	cmd.Flags().BoolVar(&afterCrash, "after-crash", false,
		"apply it although the server crashed since: sessions that their users ended in the last moments before come back")
	return cmd
}

func (a *app) undoRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rm ID...",
		Short:             "Remove undo points; their sessions are then gone for good",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeUndo,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.each(cmd, &keyFlag{}, args, "removed", func(c *adminapi.Client, id []byte) error {
				return c.RemoveUndo(cmd.Context(), string(id))
			})
		},
	}
}

// completeUndo returns the points there are, with what they undo.
func (a *app) completeUndo(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, err := c.UndoPoints(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for _, p := range list.Points {
		ids = append(ids, p.ID+"\t"+p.Reason)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
