// Package live shows operators what clients do, as it happens: single commands, slow
// ones, and the keys that are used most.
//
// It costs one atomic load a burst while nobody watches. While somebody does, what
// it costs is bounded: so many watch at once, each is sent so many commands a second,
// so many of them wait for one who reads slowly, and so many keys are counted. What
// was left out is counted.
package live

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cairn/session"
)

// maxListeners is how many may watch or count at once.
const maxListeners = 8

// ErrTooMany says that so many watch or count already as there may be.
var ErrTooMany = errors.New("live: too many are watching already")

// Command is one command that was carried out.
type Command struct {
	At      time.Time // of the answer
	Verb    string    // as the client sent it, such as "mg"; what it does, if that is not known
	Op      session.Op
	Key     []byte // nil: the command has none
	Outcome string // see Outcome; "": there is none
	Size    int    // bytes of the value that was read, stored or removed

	// Took is the time from the arrival of the request until its answer was handed
	// to the operating system. Requests that a client sends at once share it. 0: not
	// known.
	Took time.Duration

	From Origin
}

// Origin is where commands come from.
type Origin struct {
	Front      string // "memcached", "http"; "": the server itself
	Connection uint64 // of the front; 0: none
	Client     string // remote address; "": not known, or a Unix socket
	User       string // who has logged in, or the name of a token; "": nobody
}

// Filter chooses commands. Its zero value chooses all.
type Filter struct {
	Prefix []byte        // of the key
	Verbs  []string      // names of verbs, or of what they do: "get" chooses mg too
	Slower time.Duration // that took at least so long; 0: any, and those of which that is not known
}

// concerns reports whether the filter chooses such a command, if it takes long
// enough.
func (f *Filter) concerns(verb string, op session.Op, key []byte) bool {
	return bytes.HasPrefix(key, f.Prefix) &&
		(len(f.Verbs) == 0 || slices.Contains(f.Verbs, verb) || slices.Contains(f.Verbs, OpName(op)))
}

func (f *Filter) chooses(c *Command) bool {
	return c.Took >= f.Slower && f.concerns(c.Verb, c.Op, c.Key)
}

// listener is somebody who is told of commands.
type listener interface {
	filter() *Filter

	// take is called with commands that the filter chooses. They are valid until it
	// returns, which it does soon.
	take(c *Command)
}

// Feed passes commands from those who carry them out to those who watch. It is
// safe for concurrent use.
type Feed struct {
	effects session.Observable // nil: nobody tells of what other fronts do
	list    atomic.Pointer[[]listener]

	mu     sync.Mutex // held to change the list
	cancel func()     // ends being told of effects; nil: is not told
}

// New returns a Feed. effects tell it what is changed by others than clients of
// memcached's protocols, which their front end tells of; nil: that is not known.
func New(effects session.Observable) *Feed { return &Feed{effects: effects} }

// Wanted reports whether anybody is to be told of commands. Nobody is by a nil Feed.
func (f *Feed) Wanted() bool { return f != nil && f.list.Load() != nil }

// Concerns reports whether somebody is to be told of such a command, if it takes long
// enough.
func (f *Feed) Concerns(verb string, op session.Op, key []byte) bool {
	list := f.list.Load()
	return list != nil && slices.ContainsFunc(*list, func(l listener) bool {
		return l.filter().concerns(verb, op, key)
	})
}

// Tell tells those who watch of commands that were carried out. They and their
// keys are the caller's again when it returns.
func (f *Feed) Tell(commands []Command) {
	list := f.list.Load()
	if list == nil {
		return
	}
	for _, l := range *list {
		for i := range commands {
			if c := &commands[i]; l.filter().chooses(c) {
				l.take(c)
			}
		}
	}
}

// Observe is session.Observer's. It tells of what others than clients of memcached's
// protocols change.
func (f *Feed) Observe(events []session.Event) {
	for i := range events {
		e := &events[i]
		if e.Command == nil || e.Origin != nil && e.Origin.Front() == session.Memcached {
			continue
		}
		c := Command{
			At: e.Now.Time(), Verb: OpName(e.Command.Op), Op: e.Command.Op, Key: e.Command.Key,
			Outcome: Outcome(e.Command.Op, session.OK), Size: e.Size,
		}
		if e.Origin != nil {
			c.From = Origin{Front: e.Origin.Front(), Connection: e.Origin.ID(), User: e.Origin.User()}
		}
		f.Tell([]Command{c})
	}
}

func (f *Feed) add(l listener) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.current()
	if len(list) >= maxListeners {
		return ErrTooMany
	}
	list = append(list, l)
	f.list.Store(&list)
	if f.cancel == nil && f.effects != nil {
		f.cancel = f.effects.Subscribe(f)
	}
	return nil
}

func (f *Feed) remove(l listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.DeleteFunc(f.current(), func(other listener) bool { return other == l })
	if len(list) > 0 {
		f.list.Store(&list)
		return
	}
	f.list.Store(nil)
	if f.cancel != nil {
		f.cancel()
		f.cancel = nil
	}
}

// current returns a copy of the list. f.mu is held.
func (f *Feed) current() []listener {
	if p := f.list.Load(); p != nil {
		return slices.Clone(*p)
	}
	return nil
}

// opNames are what commands do, in the words of memcached's protocol.
var opNames = map[session.Op]string{
	session.OpGet: "get", session.OpTouch: "touch", session.OpSet: "set", session.OpAdd: "add",
	session.OpReplace: "replace", session.OpAppend: "append", session.OpPrepend: "prepend",
	session.OpIncr: "incr", session.OpDecr: "decr", session.OpDelete: "delete", session.OpFlush: "flush_all",
}

// OpName is what commands with op do, in one word; "": op is about no session.
func OpName(op session.Op) string { return opNames[op] }

var outcomes = map[session.Status]string{
	session.OK: "stored", session.NotFound: "not_found", session.NotStored: "not_stored", session.Exists: "exists",
	session.NotNumeric: "not_numeric", session.TooLarge: "too_large", session.Failed: "failed", session.Fenced: "fenced",
}

// Outcome says in one word what became of a command.
func Outcome(op session.Op, status session.Status) string {
	switch {
	case op == session.OpGet && status == session.OK:
		return "hit"
	case op == session.OpGet && status == session.NotFound:
		return "miss"
	case op == session.OpTouch && status == session.OK:
		return "touched"
	case op == session.OpDelete && status == session.OK:
		return "deleted"
	case op == session.OpFlush && status == session.OK:
		return "flushed"
	}
	return outcomes[status]
}
