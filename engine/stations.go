package engine

import (
	"sync"

	"cairn/processors"
)

// stations are where bursts wait, and the goroutines that serve them there: each
// passes bursts on to a later one, and none waits for an earlier one.
type stations struct {
	fetchers fetchers
	heavy    fetchers // for large values; see room.go
	queue    queue
	appliers sync.WaitGroup
	commits  commits
	awaiting sync.WaitGroup // awaitCommits
}

// open starts those who carry out the bursts of s.
func (t *stations) open(s *Store) {
	t.queue.init()
	t.commits.init()
	t.fetchers.limit, t.fetchers.fetch = s.options.Fetches, s.fetch
	t.heavy.limit, t.heavy.fetch = heavyFetches(), s.fetch
	for range min(processors.Most(), maxAppliers) {
		t.appliers.Go(s.applyWaiting)
	}
	t.awaiting.Go(s.awaitCommits)
}

// close completes all bursts and lets no more in. Those that wait for a fetch
// are refused. Each station ends before the one that it passes bursts on to.
func (t *stations) close() {
	t.fetchers.close()
	t.heavy.close()
	t.queue.close()
	t.appliers.Wait()
	t.commits.close()
	t.awaiting.Wait()
}
