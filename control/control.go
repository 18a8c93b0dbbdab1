// Package control lets an application list and end a user's sessions with the commands
// that its memcached client has, by keys with a prefix of their own:
//
//	get PREFIXowner:ID        the sessions of a user, as JSON
//	delete PREFIXowner:ID     ends them
//	delete PREFIXothers:KEY   ends all sessions of the user whose the session KEY is, but that
//
// Clients may put a namespace before the prefix, if it is one that a rule names.
package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"cairn/owners"
	"cairn/policy"
	"cairn/session"
)

const (
	// listed is how many sessions a list has at most.
	listed = 1000

	// atOnce is how many bursts with control keys are carried out at the same time.
	atOnce = 8

	ownerPart  = "owner:"
	othersPart = "others:"
)

// Owners are the users that have sessions.
type Owners interface {
	Sessions(ctx context.Context, id, after []byte, values bool, fn func(*session.Item) bool) error
	Kick(ctx context.Context, k owners.Kick) (owners.Kicked, error)
	KickOthers(ctx context.Context, key []byte, from session.Origin) (owners.Kicked, bool, error)
	Complete() bool
}

// Options configure a Store.
type Options struct {
	Next   session.Store // has everything but control keys
	Prefix string        // of control keys; not empty
	Rules  *policy.Rules // name the namespaces
	Owners Owners
}

// Store is a session.Store that carries out commands on control keys and passes
// everything else on. Only what comes from clients is looked at.
type Store struct {
	options Options
	prefix  []byte
	turns   chan struct{}
	work    sync.WaitGroup
}

// New makes a Store.
func New(o Options) *Store {
	return &Store{options: o, prefix: []byte(o.Prefix), turns: make(chan struct{}, atOnce)}
}

// Try is session.Store's.
func (s *Store) Try(b *session.Burst) bool { return !s.concerns(b) && s.options.Next.Try(b) }

// Apply is session.Store's. Commands keep their order.
func (s *Store) Apply(b *session.Burst, to session.Completer) {
	if !s.concerns(b) {
		s.options.Next.Apply(b, to)
		return
	}
	s.work.Go(func() {
		s.turns <- struct{}{}
		defer func() { <-s.turns }()
		s.inTurn(b)
		to.Complete([]*session.Burst{b})
	})
}

// Wait returns when nothing is under way any more.
func (s *Store) Wait() { s.work.Wait() }

// concerns reports whether b has a control key and comes from a client.
func (s *Store) concerns(b *session.Burst) bool {
	found := slices.ContainsFunc(b.Commands, func(c session.Command) bool { return s.part(c.Key) != nil })
	return found && b.Origin != nil && b.Origin.Front() == session.Memcached
}

// part returns what stands behind the prefix in a control key; nil: it is none.
func (s *Store) part(key []byte) []byte {
	i := bytes.Index(key, s.prefix)
	if i < 0 || i > 0 && !s.options.Rules.Set().Namespace(key[:i]) {
		return nil
	}
	rest := key[i+len(s.prefix):]
	if bytes.HasPrefix(rest, []byte(ownerPart)) || bytes.HasPrefix(rest, []byte(othersPart)) {
		return rest
	}
	return nil
}

// inTurn carries out a burst, part by part.
func (s *Store) inTurn(b *session.Burst) {
	b.SizeResults()
	for i := 0; i < len(b.Commands); {
		if part := s.part(b.Commands[i].Key); part != nil {
			b.Results[i] = s.run(&b.Commands[i], part, b)
			i++
			continue
		}
		end := i + 1
		for end < len(b.Commands) && s.part(b.Commands[end].Key) == nil {
			end++
		}
		session.DoPart(s.options.Next, b, i, end)
		i = end
	}
}

// run carries out a command on a control key. What is neither a get nor a delete finds
// nothing and stores nothing.
func (s *Store) run(c *session.Command, part []byte, b *session.Burst) session.Result {
	ctx := context.Background()
	owner, isOwner := bytes.CutPrefix(part, []byte(ownerPart))
	var err error
	ended := owners.Kicked{}
	switch {
	case len(owner) == 0:
	case c.Op == session.OpGet && isOwner:
		var list []byte
		if list, err = s.list(ctx, owner); list != nil && err == nil {
			return found(c, list, b.Now)
		}
	case c.Op == session.OpDelete && isOwner:
		ended, err = s.options.Owners.Kick(ctx, owners.Kick{Owner: owner, Origin: b.Origin})
	case c.Op == session.OpDelete:
		ended, err = s.endOthers(ctx, c.Key, part[len(othersPart):], b.Origin)
	}
	switch {
	case err != nil:
		return session.Result{Status: session.Failed, Err: err}
	case ended.Deleted > 0:
		return found(c, nil, b.Now)
	case c.Op == session.OpSet, c.Op == session.OpAdd, c.Op == session.OpReplace, c.Op == session.OpAppend, c.Op == session.OpPrepend:
		return session.Result{Status: session.NotStored}
	}
	return session.Result{Status: session.NotFound}
}

// endOthers ends all sessions of the owner of one, which is named as it is stored, or
// without the namespace that the client puts before each key.
func (s *Store) endOthers(ctx context.Context, control, key []byte, from session.Origin) (owners.Kicked, error) {
	namespace := control[:bytes.Index(control, s.prefix)]
	for _, name := range [][]byte{key, slices.Concat(namespace, key)} {
		if !session.ValidKey(name) {
			continue
		}
		if ended, found, err := s.options.Owners.KickOthers(ctx, name, from); found || err != nil {
			return ended, err
		}
	}
	return owners.Kicked{}, nil
}

// found is the result of a command on a key that has the value, for the moment.
func found(c *session.Command, value []byte, now session.Time) session.Result {
	it := session.Item{Key: c.Key, Value: value, Version: uint64(max(now, 1)), Born: uint64(max(now, 1)), Expiry: now.Add(time.Second), LastAccess: now}
	return session.Result{Status: session.OK, Item: it}
}

// answer is what a get shows.
type answer struct {
	Owner    string  `json:"owner"`
	Sessions []entry `json:"sessions"`
	More     bool    `json:"more,omitempty"`
	Complete bool    `json:"complete"`
}

type entry struct {
	Key        string     `json:"key"`
	KeyBase64  string     `json:"key_base64,omitempty"` // of a key that is not UTF-8
	CreatedAt  *time.Time `json:"created_at,omitempty"`
	LastAccess *time.Time `json:"last_access,omitempty"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
}

// list returns the sessions of an owner as JSON; nil if there are none.
func (s *Store) list(ctx context.Context, owner []byte) ([]byte, error) {
	a := answer{Owner: string(owner), Complete: s.options.Owners.Complete()}
	err := s.options.Owners.Sessions(ctx, owner, nil, false, func(it *session.Item) bool {
		if a.More = len(a.Sessions) == listed; a.More {
			return false
		}
		e := entry{Key: string(it.Key), CreatedAt: instant(it.Created), LastAccess: instant(it.LastAccess), ExpiresAt: instant(it.Expiry)}
		if !utf8.Valid(it.Key) {
			e.KeyBase64 = base64.RawURLEncoding.EncodeToString(it.Key)
		}
		a.Sessions = append(a.Sessions, e)
		return true
	})
	if err != nil || len(a.Sessions) == 0 {
		return nil, err
	}
	return json.Marshal(&a)
}

// instant is t for JSON; nil if it is not known, or never.
func instant(t session.Time) *time.Time {
	if t == 0 || t == session.Never {
		return nil
	}
	u := t.Time().UTC()
	return &u
}
