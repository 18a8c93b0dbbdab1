package memcachedfront

import (
	"sync/atomic"

	"cairn/auth"
	"cairn/memcachedfront/protocol"
)

// known is what others than those who serve a connection may read of it.
type known struct {
	requests atomic.Uint64
	lastVerb atomic.Uint32 // a protocol.Verb
	dialect  atomic.Uint32
	ticket   atomic.Pointer[auth.Ticket] // of who logged in; nil: nobody
}

// began notes that the planned requests were taken from the input.
func (k *known) began(plan []answer, d dialect) {
	if len(plan) > 0 {
		k.requests.Add(uint64(len(plan)))
		k.lastVerb.Store(uint32(plan[len(plan)-1].verb))
		k.dialect.Store(uint32(d))
	}
}

// protocol tells what the client speaks. One that has sent a meta command last
// counts as speaking meta.
func (k *known) protocol() string {
	verb := protocol.Verb(k.lastVerb.Load())
	switch {
	case dialect(k.dialect.Load()) == binary:
		return "binary"
	case verb >= protocol.MetaGet && verb <= protocol.MetaDebug:
		return "meta"
	case dialect(k.dialect.Load()) == text:
		return "text"
	}
	return ""
}
