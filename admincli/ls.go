package admincli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// pageSize is the most sessions that are asked for at once.
const pageSize = 1000

func (a *app) lsCommand() *cobra.Command {
	var filter filterFlags
	limit, all, locks := 100, false, false
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List sessions, or the locks of sessions",
		Long: "List sessions by key. Filters combine; the first --limit matches are shown, or all with --all.\n" +
			"With --locks, list the locks that are kept in memory, those first for which most clients wait.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if locks {
				if filter.given() {
					return usagef("--locks lists all locks: it goes with no filter")
				}
				if all {
					limit = maxLocks
				}
				return a.listLocks(cmd.Context(), c, min(limit, maxLocks))
			}
			chosen, err := filter.filter(time.Now())
			if err != nil {
				return err
			}
			if all {
				limit = -1
			}
			print := a.listTable
			if a.json() {
				print = a.listJSON
			}
			return print(newPager(cmd.Context(), c, &chosen, limit))
		},
	}
	filter.add(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, "show at most so many sessions")
	cmd.Flags().BoolVar(&all, "all", false, "show all that match")
	cmd.Flags().BoolVar(&locks, "locks", false, "list locks instead of sessions")
	return cmd
}

// pager gives sessions one by one, fetching pages as they are needed.
type pager struct {
	ctx    context.Context
	client *adminapi.Client
	filter *adminapi.Filter
	cursor string // of the page that comes next
	left   int    // sessions still wanted; -1: all

	page []adminapi.Session
	more bool // there may be sessions behind the last one given
}

func newPager(ctx context.Context, c *adminapi.Client, filter *adminapi.Filter, limit int) *pager {
	return &pager{ctx: ctx, client: c, filter: filter, left: limit, more: true}
}

// next returns the next session, or nil at the end.
func (p *pager) next() (*adminapi.Session, error) {
	for len(p.page) == 0 && p.more && p.left != 0 {
		if err := p.fetch(); err != nil {
			return nil, err
		}
	}
	if len(p.page) == 0 || p.left == 0 {
		return nil, nil
	}
	s := &p.page[0]
	p.page = p.page[1:]
	if p.left > 0 {
		p.left--
	}
	return s, nil
}

func (p *pager) fetch() error {
	size := pageSize
	if p.left > 0 {
		size = min(size, p.left)
	}
	page, err := p.client.Sessions(p.ctx, p.filter, size, p.cursor)
	if err != nil {
		return err
	}
	p.page, p.more, p.cursor = page.Sessions, page.NextCursor != "", page.NextCursor
	return nil
}

func (a *app) listTable(p *pager) error {
	t := newTable(a.Stdout)
	t.row("KEY", "SIZE", "EXPIRES IN", "FLAGS", "VERSION")
	n, width := 0, a.keyWidth(60)
	for {
		s, err := p.next()
		if err != nil && n == 0 {
			return err // and nothing of a table
		}
		if err != nil || s == nil {
			t.Flush()
			if err == nil && p.more {
				fmt.Fprintf(a.Stderr, "the first %d are shown; there are more (--limit, --all)\n", n)
			}
			return err
		}
		t.row(cutKey(shownKey(s), width), size(int64(s.Size)), timeLeft(s), s.Flags, s.Version)
		if n++; n%pageSize == 0 {
			t.Flush() // a table of any length needs little memory
		}
	}
}

// listJSON writes one array, element by element.
func (a *app) listJSON(p *pager) error {
	separator := "[\n "
	for {
		s, err := p.next()
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.Stdout, "%s%s", separator, line); err != nil {
			return err
		}
		separator = ",\n "
	}
	if separator[0] == '[' {
		separator = "["
	} else {
		separator = "\n"
	}
	_, err := io.WriteString(a.Stdout, separator+"]\n")
	return err
}

// completeKeys offers keys of the server that begin with what was typed.
func (a *app) completeKeys(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var keys []string
	p := newPager(cmd.Context(), c, &adminapi.Filter{Prefix: typed}, 50)
	for {
		s, err := p.next()
		if err != nil || s == nil {
			return keys, cobra.ShellCompDirectiveNoFileComp
		}
		if s.KeyBase64 == "" {
			keys = append(keys, s.Key)
		}
	}
}
