package upstream

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"cairn/migrate"
	"cairn/session"
)

// fetch brings sessions that are not here from the old store, if that has them. It
// never waits for longer than twice the timeout for each part of the list: a server
// that cannot be asked has nothing.
func (s *Store) fetch(list [][]byte, now session.Time) {
	for part := range slices.Chunk(list, fetchChunk) {
		s.fetchPart(part, now)
	}
}

func (s *Store) fetchPart(list [][]byte, now session.Time) {
	timer := time.NewTimer(s.o.Timeout)
	defer timer.Stop()
	release := s.keys.hold(list, timer.C)
	if release == nil {
		s.counts.failures.Add(uint64(len(list)))
		return
	}
	defer release()
	var open [][]byte
	for _, key := range list {
		if s.askable(key, now) { // it may have arrived, or have been removed, meanwhile
			open = append(open, key)
		}
	}
	if len(open) == 0 {
		return
	}
	answers := make([][]answer, len(s.servers)) // of each server, by index in open
	err := s.everywhere(func(server int, link migrate.Link) error {
		answers[server] = make([]answer, len(open))
		return get(link, open, s.o.MaxValue, answers[server])
	})
	f := fetched{Store: s, now: now, failed: err != nil}
	for i, key := range open {
		f.take(key, best(answers, i))
	}
	f.store()
}

// answer is what a server has of a session. The zero answer: nothing.
type answer struct {
	there  bool
	record *migrate.Record // nil: it can be none here
}

// get asks a server for sessions.
func get(link migrate.Link, list [][]byte, limit int64, into []answer) error {
	return link.Get(list, limit, func(i int, r *migrate.Record) {
		into[i].there = true
		if r == nil {
			return
		}
		own := *r
		own.Value = bytes.Clone(r.Value)
		into[i].record = &own
	})
}

// best chooses from what the servers have of session i. Several may have it: clients
// that work around a server which is down leave copies at another. The one that lives
// longest was stored last.
func best(answers [][]answer, i int) (b answer) {
	for _, server := range answers {
		if server == nil { // it was not asked
			continue
		}
		switch a := server[i]; {
		case !a.there:
		case !b.there, b.record == nil, a.record != nil && expiry(a.record) > expiry(b.record):
			b = a
		}
	}
	return b
}

func expiry(r *migrate.Record) session.Time {
	if r.Expires.IsZero() {
		return session.Never
	}
	return session.FromTime(r.Expires)
}

// fetched is what was fetched and is to be stored.
type fetched struct {
	*Store
	now    session.Time
	failed bool // some server was not asked
	burst  session.Burst
}

// take notes what the old store has of a session.
func (f *fetched) take(key []byte, a answer) {
	switch {
	case a.record != nil:
		r := a.record
		f.counts.hits.Add(1)
		f.counts.lastHit.Store(int64(f.now))
		f.noteLifetime(expiry(r), f.now)
		*f.burst.Add() = session.Command{Op: session.OpAdd, Key: key, Value: r.Value, Flags: r.Flags, Expiry: expiry(r)}
	case a.there:
		f.counts.unsuitable.Add(1)
	case f.failed:
		f.counts.failures.Add(1)
	default:
		f.counts.misses.Add(1)
		f.known.add(hash(key), f.now+absentFor)
	}
}

// store stores what was fetched, but nothing over what is here by now.
func (f *fetched) store() {
	if len(f.burst.Commands) == 0 {
		return
	}
	f.burst.Now, f.burst.Origin = f.o.Clock.Now(), origin{}
	f.o.Admit(&f.burst)
	session.Do(f.o.Next, &f.burst)
	for i := range f.burst.Results {
		switch r := &f.burst.Results[i]; r.Status {
		case session.OK, session.NotStored:
			f.known.add(hash(f.burst.Commands[i].Key), f.now+settledFor)
		default:
			f.counts.failures.Add(1)
			f.o.Logger.Error("a session of the upstream cannot be stored", "error", errors.Join(r.Err, statusError(r.Status)))
		}
	}
}

var errTooLarge = errors.New("the value is too large")

func statusError(s session.Status) error {
	if s == session.TooLarge {
		return errTooLarge
	}
	return nil
}
