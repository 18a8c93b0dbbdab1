package sessiontest

import (
	"fmt"
	"slices"
	"sync"

	"cairn/session"
)

// Told is what an Event says, to be compared.
type Told struct {
	Effect         session.Effect
	Op             session.Op
	Key            string
	Size           int
	Expiry         session.Time
	Stale, Claimed bool
	NewOwner       bool
}

// A Recorder is a session.Observer that keeps what it is told, but for
// session.Swept, which depends on when a store tidies up. It is safe for
// concurrent use.
type Recorder struct {
	mu   sync.Mutex
	told []Told
}

// Observe is session.Observer's.
func (r *Recorder) Observe(events []session.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		if e.Effect == session.Swept {
			continue
		}
		it := &e.Result.Item
		r.told = append(r.told, Told{
			Effect: e.Effect, Op: e.Command.Op, Key: string(e.Command.Key), Size: e.Size,
			Expiry: it.Expiry, Stale: it.Stale, Claimed: it.Claimed, NewOwner: e.NewOwner,
		})
	}
}

// Take returns what was told since the last call, in order.
func (r *Recorder) Take() []Told {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

// Differ says in what two records of the same differ; "" if they do not.
func Differ(got, want []Told) string {
	if slices.Equal(got, want) {
		return ""
	}
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			return fmt.Sprintf("event %d of %d is %+v, want the model's of %d: %+v", i, len(got), got[i], len(want), want[min(i, len(want)):min(i+1, len(want))])
		}
	}
	return fmt.Sprintf("%d events, the model has %d more: %+v", len(got), len(want)-len(got), want[len(got)])
}
