package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// dispatchers has one function per verb of the text and meta protocols. It adds
// the commands that carry out the request to the burst and plans the answer.
var dispatchers = [protocol.NumVerbs]func(*conn, *protocol.Request, *session.Burst){
	protocol.Invalid: (*conn).invalid,

	protocol.Get:     (*conn).retrieve,
	protocol.Gets:    (*conn).retrieve,
	protocol.Gat:     (*conn).retrieve,
	protocol.Gats:    (*conn).retrieve,
	protocol.Set:     (*conn).set,
	protocol.Add:     (*conn).add,
	protocol.Replace: (*conn).replace,
	protocol.Append:  (*conn).append,
	protocol.Prepend: (*conn).prepend,
	protocol.CAS:     (*conn).cas,
	protocol.Incr:    (*conn).incr,
	protocol.Decr:    (*conn).decr,
	protocol.Delete:  (*conn).delete,
	protocol.Touch:   (*conn).touch,

	protocol.MetaGet:        (*conn).metaGet,
	protocol.MetaSet:        (*conn).metaSet,
	protocol.MetaDelete:     (*conn).metaDelete,
	protocol.MetaArithmetic: (*conn).metaArithmetic,
	protocol.MetaNoop:       (*conn).metaNoop,
	protocol.MetaDebug:      (*conn).metaDebug,

	protocol.FlushAll:      (*conn).flushAll,
	protocol.Version:       (*conn).version,
	protocol.Verbosity:     (*conn).verbosity,
	protocol.Quit:          (*conn).quit,
	protocol.Stats:         (*conn).stats,
	protocol.Shutdown:      (*conn).shutdown,
	protocol.CacheMemlimit: (*conn).cacheMemlimit,
	protocol.Slabs:         (*conn).slabs,
	protocol.LRU:           (*conn).lru,
	protocol.LRUCrawler:    (*conn).lruCrawler,
	protocol.Watch:         (*conn).watch,
	protocol.Config:        (*conn).config,
	protocol.RefreshCerts:  (*conn).refreshCerts,
	protocol.Extstore:      (*conn).extstore,
}

// dispatch adds the commands of r to b and plans its answer.
func (c *conn) dispatch(r *protocol.Request, b *session.Burst) {
	if !c.authenticated && c.mustLogIn(r) {
		return
	}
	if c.dialect == binary {
		c.dispatchBinary(r, b)
		return
	}
	dispatchers[r.Verb](c, r, b)
}

// expect plans the answer to r, whose commands come next in b.
func (c *conn) expect(r *protocol.Request, b *session.Burst) *answer {
	c.plan = append(c.plan, answer{
		verb:  r.Verb,
		quiet: r.Quiet,
		first: int32(len(b.Commands) - c.start),
	})
	return &c.plan[len(c.plan)-1]
}

// command plans the answer to r and adds its only command to b.
func (c *conn) command(r *protocol.Request, b *session.Burst, op session.Op) *session.Command {
	c.expect(r, b).count = 1
	cmd := b.Add()
	cmd.Op = op
	cmd.Key = r.Key
	return cmd
}

func (c *conn) invalid(r *protocol.Request, b *session.Burst) {
	c.expect(r, b).fault = r.Fault
	c.countFault(r.Fault)
}

// retrieve is get, gets, gat and gats. A retrieval whose keys do not fit into
// the burst is resumed in the next one.
func (c *conn) retrieve(r *protocol.Request, b *session.Burst) {
	a := c.expect(r, b)
	if r.Key != nil {
		c.retrieveKey(r, b, r.Key)
	}
	key, rest := protocol.NextKey(r.Keys)
	for key != nil && c.room(b) {
		c.retrieveKey(r, b, key)
		r.Keys = rest
		key, rest = protocol.NextKey(r.Keys)
	}
	a.count = int32(len(b.Commands)-c.start) - a.first
	a.last = key == nil
	c.resume, c.resumeExptime = protocol.Invalid, 0
	if !a.last {
		c.resume, c.resumeExptime = r.Verb, r.Exptime
	}
}

func (c *conn) retrieveKey(r *protocol.Request, b *session.Burst, key []byte) {
	cmd := b.Add()
	cmd.Op = session.OpGet
	cmd.Mods = session.NoClaim
	cmd.Key = key
	if r.Verb == protocol.Gat || r.Verb == protocol.Gats {
		cmd.Mods |= session.SetExpiry
		cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
	}
}

// store fills in what the storage commands have in common.
func (c *conn) store(r *protocol.Request, b *session.Burst, op session.Op) *session.Command {
	cmd := c.command(r, b, op)
	cmd.Value = r.Value
	cmd.Flags = r.Flags
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
	c.counters.add(cmdSet, 1)
	return cmd
}

func (c *conn) set(r *protocol.Request, b *session.Burst)     { c.store(r, b, session.OpSet) }
func (c *conn) add(r *protocol.Request, b *session.Burst)     { c.store(r, b, session.OpAdd) }
func (c *conn) replace(r *protocol.Request, b *session.Burst) { c.store(r, b, session.OpReplace) }
func (c *conn) append(r *protocol.Request, b *session.Burst)  { c.store(r, b, session.OpAppend) }
func (c *conn) prepend(r *protocol.Request, b *session.Burst) { c.store(r, b, session.OpPrepend) }

func (c *conn) cas(r *protocol.Request, b *session.Burst) {
	cmd := c.store(r, b, session.OpSet)
	cmd.Mods |= session.IfVersion
	cmd.CAS = r.CAS
}

func (c *conn) incr(r *protocol.Request, b *session.Burst) { c.arithmetic(r, b, session.OpIncr) }
func (c *conn) decr(r *protocol.Request, b *session.Burst) { c.arithmetic(r, b, session.OpDecr) }

func (c *conn) arithmetic(r *protocol.Request, b *session.Burst, op session.Op) {
	c.command(r, b, op).Delta = r.Delta
}

func (c *conn) delete(r *protocol.Request, b *session.Burst) {
	c.command(r, b, session.OpDelete)
}

func (c *conn) touch(r *protocol.Request, b *session.Burst) {
	cmd := c.command(r, b, session.OpTouch)
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
}
