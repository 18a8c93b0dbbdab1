package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// textVerb is how requests of one kind are carried out in the text and meta
// protocols.
type textVerb struct {
	// plan adds the commands that carry out the request to the burst, and plans
	// the answer.
	plan func(*conn, *protocol.Request, *session.Burst)

	// answer appends the answer that results call for, as if the client wanted
	// one. Nil: the plan is all that it takes.
	answer func(*conn, []byte, *answer, *session.Burst) []byte
}

// textVerbs are the verbs of the text and meta protocols. Retrievals have no
// answer here, because that can have parts: see answerRetrieval.
var textVerbs = [protocol.NumVerbs]textVerb{
	protocol.Invalid: {(*conn).invalid, nil},

	protocol.Get:     {(*conn).retrieve, nil},
	protocol.Gets:    {(*conn).retrieve, nil},
	protocol.Gat:     {(*conn).retrieve, nil},
	protocol.Gats:    {(*conn).retrieve, nil},
	protocol.Set:     {(*conn).set, (*conn).answerStorage},
	protocol.Add:     {(*conn).add, (*conn).answerStorage},
	protocol.Replace: {(*conn).replace, (*conn).answerStorage},
	protocol.Append:  {(*conn).append, (*conn).answerStorage},
	protocol.Prepend: {(*conn).prepend, (*conn).answerStorage},
	protocol.CAS:     {(*conn).cas, (*conn).answerStorage},
	protocol.Incr:    {(*conn).incr, (*conn).answerArithmetic},
	protocol.Decr:    {(*conn).decr, (*conn).answerArithmetic},
	protocol.Delete:  {(*conn).delete, (*conn).answerDelete},
	protocol.Touch:   {(*conn).touch, (*conn).answerTouch},

	protocol.MetaGet:        {(*conn).metaGet, (*conn).answerMetaGet},
	protocol.MetaSet:        {(*conn).metaSet, (*conn).answerMetaSet},
	protocol.MetaDelete:     {(*conn).metaDelete, (*conn).answerMetaDelete},
	protocol.MetaArithmetic: {(*conn).metaArithmetic, (*conn).answerMetaArithmetic},
	protocol.MetaNoop:       {(*conn).metaNoop, nil},
	protocol.MetaDebug:      {(*conn).metaDebug, (*conn).answerMetaDebug},

	protocol.FlushAll:      {(*conn).flushAll, (*conn).answerFlush},
	protocol.Version:       {(*conn).version, nil},
	protocol.Verbosity:     {(*conn).verbosity, nil},
	protocol.Quit:          {(*conn).quit, nil},
	protocol.Stats:         {(*conn).stats, (*conn).answerStats},
	protocol.Shutdown:      {(*conn).shutdown, nil},
	protocol.CacheMemlimit: {(*conn).cacheMemlimit, nil},
	protocol.Slabs:         {(*conn).slabs, nil},
	protocol.LRU:           {(*conn).lru, nil},
	protocol.LRUCrawler:    {(*conn).lruCrawler, nil},
	protocol.Watch:         {(*conn).watch, nil},
	protocol.Config:        {(*conn).config, nil},
	protocol.RefreshCerts:  {(*conn).refreshCerts, nil},
	protocol.Extstore:      {(*conn).extstore, nil},
}

// binaryVerb is how requests of one kind are carried out in the binary protocol.
type binaryVerb struct {
	// plan adds the commands that carry out the request to the burst. What it
	// must change in the answer that is planned already, it changes there.
	plan func(*conn, *answer, *protocol.Request, *session.Burst)

	// answer appends the answer to a request that was carried out. Nil: a header
	// is all that it takes.
	answer func(*conn, []byte, protocol.BinaryHeader, *answer, *session.Burst) []byte
}

// binaryVerbs are the verbs of the binary protocol.
var binaryVerbs [protocol.NumVerbs]binaryVerb

// The table is not filled where it is declared, because a login, which is in it,
// answers by it later.
func init() {
	binaryVerbs = [protocol.NumVerbs]binaryVerb{
		protocol.Invalid: {(*conn).binaryInvalid, nil},

		protocol.Get:     {(*conn).binaryGet, (*conn).answerBinaryGet},
		protocol.Gat:     {(*conn).binaryGat, (*conn).answerBinaryGet},
		protocol.Touch:   {(*conn).binaryTouch, (*conn).answerBinaryTouch},
		protocol.Set:     {(*conn).binarySet, (*conn).answerBinaryStore},
		protocol.Add:     {(*conn).binaryAdd, (*conn).answerBinaryStore},
		protocol.Replace: {(*conn).binaryReplace, (*conn).answerBinaryStore},
		protocol.Append:  {(*conn).binaryAppend, (*conn).answerBinaryStore},
		protocol.Prepend: {(*conn).binaryPrepend, (*conn).answerBinaryStore},
		protocol.Incr:    {(*conn).binaryIncr, (*conn).answerBinaryArithmetic},
		protocol.Decr:    {(*conn).binaryDecr, (*conn).answerBinaryArithmetic},
		protocol.Delete:  {(*conn).binaryDelete, (*conn).answerBinaryDelete},

		protocol.FlushAll:  {(*conn).binaryFlush, (*conn).answerBinaryFlush},
		protocol.Noop:      {(*conn).binaryPlain, nil},
		protocol.Version:   {(*conn).binaryPlain, (*conn).answerBinaryVersion},
		protocol.Verbosity: {(*conn).binaryVerbosity, nil},
		protocol.Quit:      {(*conn).binaryQuit, nil},
		protocol.Stats:     {(*conn).binaryArguments, (*conn).answerBinaryStats},
		protocol.Config:    {(*conn).binaryArguments, (*conn).answerBinaryConfig},

		protocol.SASLList: {(*conn).saslList, (*conn).answerSASLList},
		protocol.SASLAuth: {(*conn).saslAuth, (*conn).answerSASLAuth},
		protocol.SASLStep: {(*conn).saslStep, (*conn).answerSASLStep},
	}
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
	textVerbs[r.Verb].plan(c, r, b)
}

// dispatchBinary adds the commands of a binary request to b and plans its
// answer.
func (c *conn) dispatchBinary(r *protocol.Request, b *session.Burst) {
	c.plan = append(c.plan, answer{
		verb:   r.Verb,
		fault:  r.Fault,
		quiet:  r.Quiet,
		first:  int32(len(b.Commands) - c.start),
		opcode: r.Opcode,
		opaque: r.Opaque,
	})
	binaryVerbs[r.Verb].plan(c, &c.plan[len(c.plan)-1], r, b)
}

// answer appends one reply to dst. If done is false there is more of it.
func (c *conn) answer(dst []byte, a *answer, b *session.Burst) (_ []byte, done bool) {
	if c.dialect == binary {
		return c.answerBinary(dst, a, b), true
	}
	return c.answerText(dst, a, b)
}

// answerText appends the answer to a text or meta request to dst. If done is
// false there is more of it.
func (c *conn) answerText(dst []byte, a *answer, b *session.Burst) (_ []byte, done bool) {
	start := len(dst)
	switch {
	case a.fault != protocol.NoFault:
		dst = append(dst, a.fault.Line()...)
	case a.line != "":
		dst = append(dst, a.line...)
	case a.verb <= protocol.Gats:
		return c.answerRetrieval(dst, a, b)
	case a.verb >= protocol.MetaGet && a.verb <= protocol.MetaDebug:
		return textVerbs[a.verb].answer(c, dst, a, b), true
	default:
		dst = textVerbs[a.verb].answer(c, dst, a, b)
	}
	if a.quiet {
		dst = dst[:start]
	}
	return dst, true
}

// answerBinary appends the answer to a binary request to dst.
func (c *conn) answerBinary(dst []byte, a *answer, b *session.Burst) []byte {
	h := protocol.BinaryHeader{Opcode: a.opcode, Opaque: a.opaque}
	if a.fault != protocol.NoFault {
		return protocol.AppendBinaryStatus(dst, h, a.fault.Status())
	}
	if answer := binaryVerbs[a.verb].answer; answer != nil {
		return answer(c, dst, h, a, b)
	}
	return appendBinaryDone(dst, h, a)
}

// appendBinaryDone appends the answer to a request that succeeded and has
// nothing to tell, which a quiet one leaves out.
func appendBinaryDone(dst []byte, h protocol.BinaryHeader, a *answer) []byte {
	if a.quiet {
		return dst
	}
	return protocol.AppendBinary(dst, h, nil, "")
}
