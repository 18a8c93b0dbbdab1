package admincli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// watchFlags choose what watch shows.
type watchFlags struct {
	prefix   string
	keys     keyFlag
	commands []string
	slower   time.Duration
	rate     int
	lines    int

	hot      bool
	interval time.Duration
	rounds   int
	limit    int
}

func (a *app) watchCommand() *cobra.Command {
	f := watchFlags{rate: 1000, interval: 5 * time.Second, limit: 20}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show the commands of clients as they run, the slow ones, or hot keys",
		Long: "Show one line for each command of a client, from now on, until Ctrl-C. --slower-than shows only those\n" +
			"that took so long, from the arrival of the request until its answer left. --hot counts instead which\n" +
			"keys are used most, and shows them after each interval.\n\n" +
			"Watching costs the server little: it sends at most --rate commands a second, leaves out the rest and says\n" +
			"how many these were, and counts a thousand keys. At most eight may watch or count at once. Reads through\n" +
			"the HTTP API are not shown.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter()
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if f.hot {
				return a.hotKeys(cmd.Context(), c, &filter, &f)
			}
			return a.watch(cmd.Context(), c, &filter, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.prefix, "prefix", "", "only keys that begin with this")
	f.keys.add(cmd)
	flags.StringSliceVar(&f.commands, "command", nil, "only these `commands`: as clients send them (mg), or by what they do (get)")
	flags.DurationVar(&f.slower, "slower-than", 0, "only commands that took at least so long, such as 20ms")
	flags.IntVar(&f.rate, "rate", f.rate, "show at most so many commands a second, up to 10000")
	flags.IntVarP(&f.lines, "lines", "l", 0, "end after so many commands; 0: never")
	flags.BoolVar(&f.hot, "hot", false, "show the keys that are used most")
	flags.DurationVarP(&f.interval, "interval", "i", f.interval, "with --hot: how long to count, at most 1m")
	flags.IntVarP(&f.rounds, "rounds", "n", 0, "with --hot: end after so many intervals; 0: never")
	flags.IntVar(&f.limit, "limit", f.limit, "with --hot: show at most so many keys, up to 1000")
	return cmd
}

func (f *watchFlags) filter() (adminapi.CommandFilter, error) {
	switch {
	case f.rate < 1 || f.rate > 10_000:
		return adminapi.CommandFilter{}, usagef("--rate must be from 1 to 10000")
	case f.limit < 1 || f.limit > 1000:
		return adminapi.CommandFilter{}, usagef("--limit must be from 1 to 1000")
	case f.interval < time.Millisecond || f.interval > time.Minute:
		return adminapi.CommandFilter{}, usagef("--interval must be from 1ms to 1m")
	case f.slower < 0 || f.slower > time.Hour:
		return adminapi.CommandFilter{}, usagef("--slower-than must be from 0 to 1h")
	}
	prefix, err := f.keys.decode(f.prefix)
	return adminapi.CommandFilter{Prefix: prefix, Commands: f.commands, Slower: f.slower}, err
}

// errEnough says that as many commands were shown as were wanted.
var errEnough = errors.New("enough")

const watchFormat = "%-15s %-10s %-11s %9s %9s %-21s %s\n"

func (a *app) watch(ctx context.Context, c *adminapi.Client, filter *adminapi.CommandFilter, f *watchFlags) error {
	shown := 0
	err := c.Watch(ctx, filter, f.rate, func(line *adminapi.WatchedCommand) error {
		switch {
		case a.json():
			if err := a.watchJSON(line); err != nil {
				return err
			}
		case shown == 0 && line.Command == "" && line.Skipped == 0:
			fmt.Fprintf(a.Stderr, watchFormat, "TIME", "COMMAND", "OUTCOME", "SIZE", "TOOK", "CLIENT", "KEY")
		default:
			a.watchLine(line)
		}
		if line.Command != "" {
			shown++
		}
		if f.lines > 0 && shown >= f.lines {
			return errEnough
		}
		return nil
	})
	switch {
	case err == errEnough, ctx.Err() != nil:
		return nil
	case err == nil:
		return errors.New("the server has ended the watch, because it stops or another process takes over")
	}
	return err
}

// watchJSON prints a line that says something.
func (a *app) watchJSON(line *adminapi.WatchedCommand) error {
	if line.Command == "" && line.Skipped == 0 {
		return nil
	}
	e := json.NewEncoder(a.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(line)
}

func (a *app) watchLine(line *adminapi.WatchedCommand) {
	if line.Skipped > 0 {
		fmt.Fprintf(a.Stderr, "%s commands were left out (--rate, or this terminal is slow)\n", count(int64(line.Skipped)))
	}
	if line.Command == "" {
		return
	}
	took := "-"
	if line.Seconds > 0 {
		took = span(time.Duration(line.Seconds * float64(time.Second)))
	}
	fmt.Fprintf(a.Stdout, watchFormat, line.At.Local().Format("15:04:05.000000"), line.Command, cmp.Or(line.Outcome, "-"),
		size(int64(line.Size)), took, watchedClient(line), shownKey(&adminapi.Session{Key: line.Key, KeyBase64: line.KeyBase64}))
}

// watchedClient says in one word who sent a command.
func watchedClient(line *adminapi.WatchedCommand) string {
	who := cmp.Or(line.Client, strings.TrimSpace(line.Front+" "+line.Connection), "server")
	if line.User != "" {
		who = line.User + "@" + who
	}
	return strings.ReplaceAll(who, " ", "-")
}

// hotKeys counts and shows keys until ctx ends.
func (a *app) hotKeys(ctx context.Context, c *adminapi.Client, filter *adminapi.CommandFilter, f *watchFlags) error {
	for n := 1; ; n++ {
		hot, err := c.HotKeys(ctx, filter, f.interval, f.limit)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if a.json() {
			err = json.NewEncoder(a.Stdout).Encode(&hot)
		} else {
			err = a.printHotKeys(&hot)
		}
		if err != nil || n == f.rounds {
			return err
		}
	}
}

func (a *app) printHotKeys(hot *adminapi.HotKeys) error {
	fmt.Fprintf(a.Stdout, "%s  %s uses in %s\n", time.Now().Format(time.TimeOnly), count(int64(hot.Uses)), secondsSpan(hot.Seconds))
	if len(hot.Keys) == 0 {
		return nil
	}
	t := newTable(a.Stdout)
	t.row("USES/S", "SHARE", "READS/S", "WRITES/S", "KEY")
	perSecond := func(n uint64) string { return fmt.Sprintf("%.1f", float64(n)/hot.Seconds) }
	for i := range hot.Keys {
		k := &hot.Keys[i]
		uses := perSecond(k.Uses)
		if k.Error > 0 {
			uses = "<=" + uses
		}
		t.row(uses, fmt.Sprintf("%.1f%%", 100*float64(k.Uses)/float64(hot.Uses)), perSecond(k.Reads), perSecond(k.Writes),
			shownKey(&adminapi.Session{Key: k.Key, KeyBase64: k.KeyBase64}))
	}
	return t.Flush()
}
