package locks

import (
	"bytes"
	"cmp"
	"slices"

	"cairn/session"
)

// Held is a lock that somebody holds.
type Held struct {
	Key    []byte
	Expiry session.Time

	// Connection is the number of the connection that holds it, whose end frees it;
	// 0 if that is not known or does not.
	Connection uint64

	// Waiting is how many clients wait for it, the first of them since Since.
	Waiting int
	Since   session.Time

	version uint64
}

// holding is a lock as a client took it.
type holding struct {
	key     string
	version uint64
}

// holders returns who holds the locks that end with a connection.
func (s *Store) holders() map[holding]uint64 {
	holders := map[holding]uint64{}
	for client, h := range s.held {
		for key, version := range h.versions {
			holders[holding{key, version}] = client
		}
	}
	return holders
}

// List returns the locks that are held, those first for which most clients wait.
func (s *Store) List() []Held {
	s.mu.Lock()
	items := s.items.Items(s.options.Clock.Now())
	list := make([]Held, 0, len(items))
	for _, it := range items {
		h := Held{Key: it.Key, Expiry: it.Expiry, version: it.Version}
		if l := s.lines[string(it.Key)]; l != nil {
			h.Waiting, h.Since = len(l.waiters), l.waiters[0].burst.Now
		}
		list = append(list, h)
	}
	holders := s.holders()
	s.mu.Unlock()
	for i := range list {
		list[i].Connection = holders[holding{string(list[i].Key), list[i].version}]
	}
	slices.SortFunc(list, func(a, b Held) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), bytes.Compare(a.Key, b.Key))
	})
	return list
}
