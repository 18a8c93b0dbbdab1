package admincli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// ownersCommand is about users and all of their sessions.
func (a *app) ownersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "owners",
		Short: "List users by their sessions, show them, and end their sessions",
		Long: "List users by their sessions, show them, and end their sessions. Whose a session is, the server knows where\n" +
			"a rule of --session-rules says where the user's id is; see cairn rules.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(a.ownersListCommand(), a.ownersShowCommand(), a.ownersKickCommand())
	return cmd
}

// ownerFlag says how ids of users are written on the command line.
type ownerFlag struct{ base64 bool }

func (f *ownerFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.base64, "base64", false, "ids are in base64, for bytes that cannot be typed")
}

func (f *ownerFlag) decode(arg string) ([]byte, error) {
	keys := keyFlag{f.base64}
	return keys.decode(arg)
}

func (a *app) ownersListCommand() *cobra.Command {
	var ids ownerFlag
	prefix, limit, all := "", 100, false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List users that have sessions",
		Long:  "List users that have sessions, those with short ids first. The first --limit are shown, or all with --all.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			begin, err := ids.decode(prefix)
			if err != nil {
				return err
			}
			if all {
				limit = -1
			}
			return a.listOwners(cmd.Context(), c, begin, limit)
		},
	}
	ids.add(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "only ids that begin with `text`")
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, "show at most so many users")
	cmd.Flags().BoolVar(&all, "all", false, "show all")
	return cmd
}

// listOwners prints users page by page. A negative limit is none.
func (a *app) listOwners(ctx context.Context, c *adminapi.Client, prefix []byte, limit int) error {
	whole := adminapi.OwnerPage{Owners: []adminapi.Owner{}, Complete: true}
	for more := true; more && limit != 0; {
		size := pageSize
		if limit > 0 {
			size = min(size, limit)
		}
		page, err := c.Owners(ctx, prefix, size, whole.NextCursor)
		if err != nil {
			return err
		}
		if limit > 0 {
			limit -= len(page.Owners)
		}
		whole.Owners = append(whole.Owners, page.Owners...)
		whole.NextCursor, whole.Complete = page.NextCursor, page.Complete
		more = page.NextCursor != ""
	}
	if a.json() {
		return printJSON(a.Stdout, &whole)
	}
	t := newTable(a.Stdout)
	t.row("OWNER", "SESSIONS", "OLDEST", "LAST ACCESS")
	for i := range whole.Owners {
		o := &whole.Owners[i]
		t.row(shownOwner(o.Owner, o.OwnerBase64), count(o.Sessions), known(o.OldestAt != nil, moment(o.OldestAt)), known(o.LastAccess != nil, moment(o.LastAccess)))
	}
	err := t.Flush()
	if whole.NextCursor != "" {
		fmt.Fprintf(a.Stderr, "the first %d are shown; there are more (--limit, --all)\n", len(whole.Owners))
	}
	a.noteIncomplete(whole.Complete)
	return err
}

func (a *app) noteIncomplete(complete bool) {
	if !complete {
		fmt.Fprintln(a.Stderr, "the server is still looking for the users of sessions that were stored before the rules were as they are")
	}
}

func known(is bool, text string) string {
	if is {
		return text
	}
	return "unknown"
}

// shownOwner writes an id so that it can be read and, if it is not plain text, be
// given back with --base64.
func shownOwner(id, encoded string) string {
	if encoded != "" {
		return "base64:" + encoded
	}
	if quoted := strconv.Quote(id); quoted != `"`+id+`"` {
		return quoted
	}
	return id
}

func (a *app) ownersShowCommand() *cobra.Command {
	var ids ownerFlag
	limit := 100
	cmd := &cobra.Command{
		Use:   "show OWNER",
		Short: "Show the sessions of a user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := ids.decode(args[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.showOwner(cmd.Context(), c, id, limit)
		},
	}
	ids.add(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, "show at most so many sessions")
	return cmd
}

// shownOwnerSessions is a user with sessions, as JSON prints it.
type shownOwnerSessions struct {
	adminapi.Owner
	List []adminapi.Session `json:"list"`
}

func (a *app) showOwner(ctx context.Context, c *adminapi.Client, id []byte, limit int) error {
	var s shownOwnerSessions
	var err error
	if s.Owner, err = c.Owner(ctx, id); err != nil {
		return err
	}
	s.List = []adminapi.Session{}
	for cursor := ""; len(s.List) < limit; {
		page, err := c.OwnerSessions(ctx, id, min(pageSize, limit-len(s.List)), cursor)
		if err != nil {
			return err
		}
		s.List = append(s.List, page.Sessions...)
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if a.json() {
		return printJSON(a.Stdout, &s)
	}
	t := newTable(a.Stdout)
	t.row("KEY", "SIZE", "BEGAN", "LAST ACCESS", "EXPIRES IN")
	for i := range s.List {
		one := &s.List[i]
		t.row(cutKey(shownKey(one), a.keyWidth(70)), size(int64(one.Size)), known(one.CreatedAt != nil, moment(one.CreatedAt)),
			known(one.LastAccess != nil, moment(one.LastAccess)), timeLeft(one))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := s.Sessions - int64(len(s.List)); more > 0 {
		fmt.Fprintf(a.Stderr, "there are %s more (--limit)\n", count(more))
	}
	return nil
}

func (a *app) ownersKickCommand() *cobra.Command {
	var ids ownerFlag
	var except string
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "kick OWNER",
		Short: "End all sessions of a user, or all but one",
		Long: "End all sessions of a user, or all but one. They are counted first, and you are asked. Requests that are under\n" +
			"way cannot bring a session back where its rule has a fence. The end of more than 100 sessions can be undone\n" +
			"for a while: see cairn undo.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := ids.decode(args[0])
			if err != nil {
				return err
			}
			var keep []byte
			if except != "" {
				if keep, err = ids.decode(except); err != nil {
					return err
				}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.kick(cmd.Context(), c, args[0], id, keep, yes, dryRun)
		},
	}
	ids.add(cmd)
	cmd.Flags().StringVar(&except, "except", "", "`key` of a session that stays")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count them")
	return cmd
}

func (a *app) kick(ctx context.Context, c *adminapi.Client, name string, id, except []byte, yes, dryRun bool) error {
	var result adminapi.KickResult
	var err error
	if dryRun || !yes {
		if result, err = c.Kick(ctx, id, except, true); err != nil {
			return err
		}
	}
	if !dryRun {
		if err := a.confirm(yes, fmt.Sprintf("End %s sessions of %q?", count(result.Matched), name)); err != nil {
			return err
		}
		if result, err = c.Kick(ctx, id, except, false); err != nil {
			return err
		}
	}
	if a.json() {
		return printJSON(a.Stdout, &result)
	}
	if dryRun {
		fmt.Fprintf(a.Stdout, "%s sessions of %s would end\n", count(result.Matched), name)
		return nil
	}
	fmt.Fprintf(a.Stdout, "%s sessions of %s have ended\n", count(result.Deleted), name)
	a.noteUndo(result.Undo)
	return nil
}

// noteUndo says how to undo what has been done, if it can be.
func (a *app) noteUndo(id string) {
	if id != "" {
		fmt.Fprintf(a.Stderr, "to undo it: cairn undo apply %s\n", id)
	}
}
