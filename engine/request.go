package engine

import (
	"sync"

	"cairn/session"
	"cairn/ttl"
)

// request is a session.Burst on its way through the store. One goroutine at a
// time has it: whoever called Apply, a fetcher, an applier, the one that waits
// for the log.
type request struct {
	in    *session.Burst
	to    session.Completer
	bytes int // of what it stores

	// fetched is what was read for it from the disk, in the order of its
	// commands, as of snapshot and epoch; see burst.trusts.
	fetched  []fetched
	next     int // where to look in fetched first
	snapshot uint64
	epoch    uint32
	fetches  int // how often that was done

	admitted bool  // there is room for the values that it reads; see room.go
	room     int64 // how much that is, in bytes
	heavy    bool  // it is much

	// deep are the keys of which all is to be fetched: large values, and where
	// older copies stand.
	deep [][]byte

	one [1]*session.Burst // for complete
}

// fetched is what the disk holds of a key.
type fetched struct {
	key    []byte
	before *entry // nil: the cache had it
	err    error  // of reading before
	copies []ttl.Bucket
	deep   bool // copies is known
}

var requests = sync.Pool{New: func() any { return new(request) }}

func newRequest(in *session.Burst, to session.Completer) *request {
	r := requests.Get().(*request)
	r.in, r.to = in, to
	for i := range in.Commands {
		r.bytes += len(in.Commands[i].Value)
	}
	return r
}

// release frees the request, which is over.
func (r *request) release() {
	r.forget()
	clear(r.deep)
	*r = request{fetched: r.fetched, deep: r.deep[:0]}
	requests.Put(r)
}

// forget drops what was fetched.
func (r *request) forget() {
	clear(r.fetched)
	r.fetched, r.next = r.fetched[:0], 0
}

// refuse completes a request that came to a closed store.
func (r *request) refuse() { r.fail(session.ErrClosed) }

// fail completes a request of which nothing was done.
func (r *request) fail(err error) {
	r.in.FailAll(err)
	r.complete()
}

// complete tells the Completer of this request alone.
func (r *request) complete() {
	to := r.to
	r.one[0] = r.in
	to.Complete(r.one[:])
	r.one[0] = nil
	r.release()
}

// has returns what was fetched of a key; nil: nothing.
func (r *request) has(key []byte) *fetched {
	for n := range r.fetched {
		i := (r.next + n) % len(r.fetched)
		if f := &r.fetched[i]; string(f.key) == string(key) {
			r.next = i
			return f
		}
	}
	return nil
}

// flushes reports whether a flush is among the commands.
func (r *request) flushes() bool {
	for i := range r.in.Commands {
		if r.in.Commands[i].Op == session.OpFlush {
			return true
		}
	}
	return false
}

// readsOnly reports whether the commands are gets that as such write nothing.
func readsOnly(in *session.Burst) bool {
	for i := range in.Commands {
		if changes(&in.Commands[i]) {
			return false
		}
	}
	return true
}

// changes reports whether the command is more than a get.
func changes(c *session.Command) bool {
	return c.Op != session.OpGet || c.Mods&(session.SetExpiry|session.Vivify) != 0
}

// sent is how many bytes the client gave for what was written.
func (r *request) sent() (n int64) {
	for i := range r.in.Commands {
		if c := &r.in.Commands[i]; c.Op != session.OpGet && r.in.Results[i].Status == session.OK {
			n += int64(len(c.Key) + len(c.Value))
		}
	}
	return n
}
