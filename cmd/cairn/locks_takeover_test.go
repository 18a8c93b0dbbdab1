//go:build linux

package main

import (
	"strings"
	"testing"
)

// TestLocksTravel gives a server away while a lock is held and waited for.
func TestLocksTravel(t *testing.T) {
	admin := freeAddress(t)
	first := startGeneration(t, t.TempDir(), "--session-rules", rulesFile(t, lockRules), "--http-listen", admin)
	holder, waiter := dialed(t, first.addr), dialed(t, first.addr)
	asks(t, holder, lockAdd, "STORED\r\n")
	waits(t, waiter, lockAdd)
	awaitTrue(t, "the waiter waits", func() bool {
		_, body := httpGet(t, "http://"+admin+"/metrics")
		return strings.Contains(body, "\ncairn_locks_waiting 1\n")
	})
	first.succeed()
	asks(t, waiter, "", "NOT_STORED\r\n") // it asks again, as it would after its patience
	waits(t, waiter, lockAdd)
	holder.Close()
	asks(t, waiter, "", "STORED\r\n")
}
