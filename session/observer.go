package session

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Effect is what a command has done to what is stored.
type Effect uint8

const (
	// Stored: the item has the value that the command brought or made.
	Stored Effect = iota + 1

	// Touched: the item has another expiry, or was claimed, or both. Its value
	// is as it was.
	Touched

	// Invalidated: the item is kept without its value, or as a stale one.
	Invalidated

	// Deleted: the item is gone, because the command says so.
	Deleted

	// Expired: the command gave the item an expiry that has passed already. Its
	// key is absent, whatever was there.
	Expired

	// Flushed: all items are gone.
	Flushed

	// FlushPlanned: all items will be gone at the command's FlushAt, which is
	// when Flushed follows.
	FlushPlanned

	// Swept: the store has dropped everything that expired before Event.Now.
	// Nobody looks at the items one by one when they expire, so there are no
	// events of those. It has no Command and no Result.
	Swept
)

// Event is one effect. It and what it refers to are read-only, and valid until the
// Observer returns.
type Event struct {
	Effect Effect

	// Command is what had the effect. A pending flush that is carried out has one
	// with nothing but its Op.
	Command *Command

	// Result is the command's, whose Status is OK. Its Item is what the command
	// left behind, or removed, in general without the value.
	Result *Result

	// Size is the length in bytes of the value that is stored now, or was removed.
	Size int

	// NewOwner says that the item has an owner which it had not before.
	NewOwner bool

	Now    Time   // of the effect
	Origin Origin // of the burst; nil: unknown, or the store itself
}

// Observer is told what happens to a store.
//
// There is one event for each command that succeeded and was more than a look, in
// the order in which they took effect on each key; a flush comes after what it
// removes and before what is stored behind it. What has failed has no event. An
// event may tell of what is not durable yet, and what a crash takes back.
//
// Observe is called where the effects become visible to others, with the locks of
// their keys held. It returns quickly, waits for nobody, and calls no method of
// the store. It may be called by several goroutines at once, for different keys.
type Observer interface {
	Observe(events []Event)
}

// Observable is a store that tells Observers of its effects.
type Observable interface {
	// Subscribe lets o be told of what happens from now on, until cancel is
	// called. A burst that is under way may be told of or not, at either end.
	Subscribe(o Observer) (cancel func())
}

// Observers are the subscribers of a store. They outlive it, so that a store that
// is opened again has them still. The zero Observers are ready, and those of nil
// are none.
type Observers struct {
	mu   sync.Mutex                  // held to change the list
	list atomic.Pointer[[]*Observer] // nil: nobody
}

// Wanted reports whether there is anybody to be told.
func (l *Observers) Wanted() bool { return l != nil && l.list.Load() != nil }

// Observe tells everybody.
func (l *Observers) Observe(events []Event) {
	if list := l.list.Load(); list != nil {
		for _, o := range *list {
			(*o).Observe(events)
		}
	}
}

// Subscribe is Observable's.
func (l *Observers) Subscribe(o Observer) (cancel func()) {
	own := &o // tells apart those who subscribe twice
	l.change(func(list []*Observer) []*Observer { return append(list, own) })
	return func() {
		l.change(func(list []*Observer) []*Observer {
			return slices.DeleteFunc(list, func(other *Observer) bool { return other == own })
		})
	}
}

// change replaces the list by what f makes of a copy.
func (l *Observers) change(f func(list []*Observer) []*Observer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*Observer
	if p := l.list.Load(); p != nil {
		list = slices.Clone(*p)
	}
	if list = f(list); len(list) == 0 {
		l.list.Store(nil)
		return
	}
	l.list.Store(&list)
}

// Origin is where a burst comes from: a connection, or a request. It may be asked
// by any goroutine. Who keeps it keeps the connection's memory.
type Origin interface {
	Front() string // which front end: "memcached", "http"
	ID() uint64    // of the connection, as the front counts them; 0: none
	User() string  // who has logged in, or the name of a token; "": nobody
}

// Memcached is the Front of connections that speak memcached's protocols.
const Memcached = "memcached"

// MemcachedConnection returns the number of the connection of the front end
// Memcached that something comes from; 0: it comes from elsewhere.
func MemcachedConnection(from Origin) uint64 {
	if from == nil || from.Front() != Memcached {
		return 0
	}
	return from.ID()
}
