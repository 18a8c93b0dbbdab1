package admincli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) flushCommand() *cobra.Command {
	var yes bool
	var in duration
	cmd := &cobra.Command{
		Use:   "flush",
		Short: "Delete all sessions",
		Long:  "Delete all sessions, as memcached's flush_all does. What takes effect at once can be undone for a while: see cairn undo.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			stats, err := c.Stats(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.confirm(yes, fmt.Sprintf("Delete all %s sessions of %s?", count(stats.Sessions.Items), c.Base)); err != nil {
				return err
			}
			result, err := c.Flush(cmd.Context(), time.Duration(in))
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &result)
			}
			fmt.Fprintf(a.Stdout, "%s sessions are deleted as of %s\n", count(result.Sessions), moment(&result.At))
			a.noteUndo(result.Undo)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().Var(&in, "in", "delete them only after `duration`")
	return cmd
}
