package admincli

import (
	"context"
	"fmt"
	"time"

	"cairn/adminapi"
)

// maxLocks is the most locks that are asked for.
const maxLocks = 10_000

func (a *app) listLocks(ctx context.Context, c *adminapi.Client, limit int) error {
	list, err := c.Locks(ctx, max(limit, 1))
	if err != nil {
		return err
	}
	if a.json() {
		return printJSON(a.Stdout, &list)
	}
	t := newTable(a.Stdout)
	t.row("KEY", "HELD BY", "ENDS IN", "WAITING", "FOR")
	now := time.Now()
	for i := range list.Locks {
		l := &list.Locks[i]
		holder, ends, since := "-", "never", "-"
		if l.Connection != "" {
			holder = "connection " + l.Connection
		}
		if l.ExpiresAt != nil {
			ends = span(l.ExpiresAt.Sub(now))
		}
		if l.WaitingSince != nil {
			since = span(now.Sub(*l.WaitingSince))
		}
		t.row(cutKey(shownKey(&adminapi.Session{Key: l.Key, KeyBase64: l.KeyBase64}), a.keyWidth(60)), holder, ends, l.Waiting, since)
	}
	err = t.Flush()
	if n := len(list.Locks); n < list.Total {
		fmt.Fprintf(a.Stderr, "the first %d of %d are shown (--limit, --all)\n", n, list.Total)
	}
	return err
}
