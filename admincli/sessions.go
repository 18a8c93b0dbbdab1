package admincli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
	"cairn/decode"
)

func (a *app) showCommand() *cobra.Command {
	var keys keyFlag
	var raw, meta bool
	var format string
	cmd := &cobra.Command{
		Use:               "show KEY",
		Short:             "Show a session and what is in it",
		Long:              "Show a session and, with a token of scope admin, its value made readable: JSON, PHP, Java, Python, Ruby and Django formats are recognised.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, c, err := a.keyed(&keys, args[0])
			if err != nil {
				return err
			}
			if raw {
				return a.showRaw(cmd, c, key)
			}
			return a.show(cmd, c, key, format, meta)
		},
	}
	keys.add(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "write the value byte for byte and nothing else")
	cmd.Flags().BoolVar(&meta, "no-value", false, "do not show the value")
	cmd.Flags().StringVar(&format, "format", "", "read the value as `format` instead of recognising it")
	cmd.MarkFlagsMutuallyExclusive("raw", "no-value", "format")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(decode.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) showRaw(cmd *cobra.Command, c *adminapi.Client, key []byte) error {
	return c.Value(cmd.Context(), key, a.Stdout)
}

// shown is a session with its decoded value, as JSON prints it.
type shown struct {
	adminapi.Session
	Decoded *decode.View `json:"decoded,omitempty"`
}

func (a *app) show(cmd *cobra.Command, c *adminapi.Client, key []byte, format string, meta bool) error {
	var s shown
	var err error
	if s.Session, err = c.Session(cmd.Context(), key); err != nil {
		return err
	}
	if !meta {
		view, err := c.Decoded(cmd.Context(), key, format)
		if err != nil {
			return err
		}
		s.Decoded = &view
	}
	if a.json() {
		return printJSON(a.Stdout, &s)
	}
	return a.showTable(&s)
}

func (a *app) showTable(s *shown) error {
	t := newTable(a.Stdout)
	t.row("Key", shownKey(&s.Session))
	t.row("Expires in", timeLeft(&s.Session))
	t.row("Expires at", moment(s.ExpiresAt))
	t.row("Size", size(int64(s.Size)))
	t.row("Flags", s.Flags)
	t.row("Version", s.Version)
	if s.LastAccess != nil {
		t.row("Last access", moment(s.LastAccess))
	}
	if s.CreatedAt != nil {
		t.row("Began", moment(s.CreatedAt))
	}
	if s.Owner != "" {
		t.row("Owner", shownOwner(s.Owner, s.OwnerBase64))
	}
	if s.Stale {
		t.row("Stale", "yes")
	}
	if v := s.Decoded; v != nil {
		t.row("Format", v.Format)
		for _, layer := range v.Layers {
			t.row("Unwrapped", layer)
		}
	}
	if err := t.Flush(); err != nil || s.Decoded == nil {
		return err
	}
	return a.showValue(s.Decoded)
}

func (a *app) showValue(v *decode.View) error {
	fmt.Fprintln(a.Stdout)
	switch v.Format {
	case decode.Text:
		fmt.Fprintln(a.Stdout, v.Text)
	case decode.Hex:
		fmt.Fprintln(a.Stdout, v.Hex)
	default:
		var indented bytes.Buffer
		if err := json.Indent(&indented, v.Value, "", "  "); err != nil {
			return err
		}
		fmt.Fprintln(a.Stdout, indented.String())
	}
	if v.Truncated {
		fmt.Fprintln(a.Stderr, "only the beginning is shown; --raw writes all of it")
	}
	return nil
}

func (a *app) touchCommand() *cobra.Command {
	var keys keyFlag
	var expiry expiryFlags
	cmd := &cobra.Command{
		Use:               "touch KEY...",
		Short:             "Change when sessions expire",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := expiry.expiry()
			if err != nil {
				return err
			}
			return a.each(cmd, &keys, args, "touched", func(c *adminapi.Client, key []byte) error {
				_, err := c.Touch(cmd.Context(), key, &body)
				return err
			})
		},
	}
	keys.add(cmd)
	expiry.add(cmd)
	return cmd
}

func (a *app) rmCommand() *cobra.Command {
	var filter filterFlags
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "rm KEY... | rm --prefix TEXT",
		Short: "Delete sessions",
		Long: "Delete the sessions with these keys, or all that filters choose. Before many are deleted they are counted, " +
			"and you are asked. To delete everything use flush.",
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && filter.given():
				return usagef("use either keys or filters")
			case len(args) > 0 && dryRun:
				return usagef("--dry-run needs filters")
			case len(args) > 0:
				return a.each(cmd, &filter.keys, args, "deleted", func(c *adminapi.Client, key []byte) error {
					return c.Delete(cmd.Context(), key)
				})
			case !filter.given():
				return usagef("name keys or use filters")
			}
			return a.bulkDelete(cmd, &filter, yes, dryRun)
		},
	}
	filter.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count what filters choose")
	return cmd
}

// outcome is what happened to one session, or to one connection.
type outcome struct {
	Key   string `json:"key,omitempty"`
	ID    string `json:"id,omitempty"`
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
	code  int
}

// outcomeOf returns o with what err says.
func (a *app) outcomeOf(err error, o outcome) outcome {
	o.Done = err == nil
	if err = a.explain(err); err != nil {
		o.Error, o.code = err.Error(), codeOf(err)
	}
	return o
}

// each does something to every key and says what came of it. It fails if that
// failed for any.
func (a *app) each(cmd *cobra.Command, keys *keyFlag, args []string, done string, do func(c *adminapi.Client, key []byte) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var outcomes []outcome
	for _, arg := range args {
		key, err := keys.decode(arg)
		if err == nil {
			err = do(c, key)
		}
		outcomes = append(outcomes, a.outcomeOf(err, outcome{Key: arg}))
	}
	return a.report(outcomes, "sessions", done)
}

// report prints what became of each, and fails unless all were done.
func (a *app) report(outcomes []outcome, nouns, done string) error {
	var codes []int
	for i := range outcomes {
		o := &outcomes[i]
		if !o.Done {
			codes = append(codes, o.code)
		}
		switch {
		case a.json():
		case o.Done:
			fmt.Fprintln(a.Stdout, done, o.Key+o.ID)
		default:
			fmt.Fprintf(a.Stderr, "%s: %s\n", o.Key+o.ID, o.Error)
		}
	}
	var err error
	if a.json() {
		err = printJSON(a.Stdout, outcomes)
	}
	if failed := len(codes); failed > 0 {
		return fault{errors.Join(err, fmt.Errorf("%d of %d %s could not be %s", failed, len(outcomes), nouns, done)), worst(codes)}
	}
	return err
}

func (a *app) bulkDelete(cmd *cobra.Command, filter *filterFlags, yes, dryRun bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	body := adminapi.BulkDeleteBody{DryRun: true}
	if body.Filter, err = filter.filter(time.Now()); err != nil {
		return err
	}
	var result adminapi.BulkDeleteResult
	if dryRun || !yes {
		if result, err = c.BulkDelete(cmd.Context(), &body); err != nil {
			return err
		}
	}
	if !dryRun {
		question := fmt.Sprintf("Delete %s sessions with %s?", count(result.Matched), size(result.Bytes))
		if err := a.confirm(yes, question); err != nil {
			return err
		}
		body.DryRun = false
		if result, err = c.BulkDelete(cmd.Context(), &body); err != nil {
			return err
		}
	}
	if a.json() {
		return printJSON(a.Stdout, &result)
	}
	fmt.Fprintf(a.Stdout, "%s sessions match, %s are deleted, of %s looked at\n",
		count(result.Matched), count(result.Deleted), count(result.Examined))
	a.noteUndo(result.Undo)
	return nil
}
