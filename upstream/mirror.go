package upstream

import (
	"maps"
	"slices"
	"time"

	"cairn/migrate"
	"cairn/session"
)

// bring brings the old store up to date until Close.
func (s *Store) bring() {
	for {
		list := s.queue.take(chunk, s.stop)
		if len(list) == 0 {
			return
		}
		wait := s.bringOrQueue(list)
		s.queue.done(list)
		if wait == 0 {
			continue
		}
		select {
		case <-time.After(wait):
		case <-s.stop:
			return
		}
	}
}

// bringOrQueue is bringKeys, but queues the keys again if that cannot be done now. It
// returns how long to wait then.
func (s *Store) bringOrQueue(list [][]byte) (wait time.Duration) {
	if wait = s.resting(); wait == 0 {
		if s.bringKeys(slices.Clone(list)) == nil {
			return 0
		}
		wait = pause
	}
	for _, key := range list {
		s.queue.add(string(key), true)
	}
	return wait
}

// resting returns for how long some server is left alone.
func (s *Store) resting() (longest time.Duration) {
	for _, v := range s.servers {
		longest = max(longest, v.resting())
	}
	return longest
}

// bringKeys makes the sessions of these keys at the old store what they are here:
// there with their value if they are copied, gone if they are gone. An error says
// that nothing is certain; it does no harm to do it again.
func (s *Store) bringKeys(list [][]byte) error {
	list = distinct(list)
	if err := s.tellFlushed(); err != nil {
		return err
	}
	if len(list) > 0 && len(list[0]) == 0 {
		list = list[1:]
	}
	release := s.keys.hold(list, nil)
	defer release()
	for len(list) > 0 {
		n, err := s.bringSome(list)
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// bringSome is bringKeys for as many as fit into memory at once. It returns how many
// those were.
func (s *Store) bringSome(list [][]byte) (n int, err error) {
	var put []migrate.Record
	var gone [][]byte
	for size := 0; n < len(list) && size < chunkBytes; n++ {
		key := list[n]
		look := session.Burst{Now: s.o.Clock.Now(), Origin: origin{}}
		*look.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: key}
		session.Do(s.o.Next, &look)
		switch r := &look.Results[0]; {
		case r.Status == session.NotFound, r.Status == session.OK && (r.Item.Stale || !s.o.Mirror && s.journal.Load().has(key)):
			gone = append(gone, key)
		case r.Status == session.OK && s.o.Mirror:
			put = append(put, record(&r.Item))
			size += len(r.Item.Value)
		}
	}
	if err := s.put(put); err != nil {
		return n, err
	}
	if len(gone) > 0 {
		if err := s.tellRemoved(gone); err != nil {
			return n, err
		}
	}
	if err := s.journal.Load().told(list[:n]); err != nil {
		s.journalFails(err)
	}
	return n, nil
}

// put stores sessions at each server, since only the clients know which of them they
// will ask for a key. What a server does not take it has not with an earlier value
// either.
func (s *Store) put(list []migrate.Record) error {
	if len(list) == 0 {
		return nil
	}
	refused := make([]map[int]bool, len(s.servers)) // by each server
	err := s.everywhere(func(server int, link migrate.Link) error {
		refused[server] = map[int]bool{}
		var late [][]byte
		err := link.Put(list, func(i int, _ string) {
			refused[server][i] = true
			late = append(late, list[i].Key)
		})
		if err != nil || len(late) == 0 {
			return err
		}
		return link.Delete(late)
	})
	if err != nil {
		return err
	}
	all := map[int]bool{}
	for _, some := range refused {
		maps.Copy(all, some)
	}
	s.counts.refused.Add(uint64(len(all)))
	s.counts.copied.Add(uint64(len(list) - len(all)))
	return nil
}

// record returns a session as other stores know it.
func record(it *session.Item) migrate.Record {
	r := migrate.Record{Key: it.Key, Value: it.Value, Flags: it.Flags}
	if it.Expiry != session.Never {
		r.Expires = it.Expiry.Time()
	}
	return r
}
