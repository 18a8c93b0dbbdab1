package engine

import (
	"errors"
	"runtime"
)

// Values that come from the disk need memory until their client has taken them.
// A burst that brings more than a few asks its Room before, and waits outside of
// all stations until there is some. Large values are read by fetchers of their
// own, so that those who copy megabytes do not take turns with all who want
// kilobytes.

// heavyShare is how much larger than a large value one is that takes long to
// copy.
const heavyShare = 16

// errNoRoom stops a burst that would bring more from the disk than it may yet.
var errNoRoom = errors.New("engine: read needs room for values")

// heavyFetches is how many bursts at a time read large values.
func heavyFetches() int { return max(1, runtime.NumCPU()/4) }

// admits reports whether the burst may bring a record of n bytes into memory.
// Whoever holds locks does not wait for memory.
func (b *burst) admits(n int) bool {
	if !b.reading && !b.fetching {
		return true
	}
	b.brought += int64(n)
	return b.admitted || b.brought < int64(b.store.options.largeValue)
}

// estimate notes in r what its values will take in all, of which b has met those
// of the commands up to number i.
func (b *burst) estimate(r *request, i int) {
	r.room = b.brought / int64(i+1) * int64(len(r.in.Commands))
	r.heavy = r.room >= heavyShare*int64(b.store.options.largeValue)
}

// awaitRoom lets r be fetched for when there is memory for its values.
func (s *Store) awaitRoom(r *request) {
	r.admitted = true
	if room := r.in.Room; room == nil || room.Take(r.room, func() { s.fetchAgain(r) }) {
		s.fetchAgain(r)
	}
}

// fetchAgain lets r, which is not new, be fetched for.
func (s *Store) fetchAgain(r *request) {
	if r.heavy {
		s.stations.heavy.add(r)
	} else {
		s.stations.fetchers.add(r)
	}
}
