package memcachedfront

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"cairn/session"
)

const (
	// prefixDelimiter ends the part of a key by which "stats detail" counts.
	prefixDelimiter = ':'

	// maxPrefixes is how many prefixes are counted; the keys of further ones
	// are not.
	maxPrefixes = 10_000
)

// prefixes count operations by the prefix of the key, while "stats detail" is
// on.
type prefixes struct {
	on atomic.Bool

	mu  sync.Mutex
	all map[string]*prefixCounts
}

type prefixCounts struct{ get, hit, set, del uint64 }

// countPrefixes begins or ends to count operations by prefix.
func (s *Server) countPrefixes(on bool) {
	s.prefixes.on.Store(on)
	s.listen()
}

// results counts reads, and what has failed.
func (p *prefixes) results(commands []session.Command, results []session.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range results {
		if cmd := &commands[i]; cmd.Op == session.OpGet || results[i].Status != session.OK {
			p.count(cmd, results[i].Status)
		}
	}
}

// happened counts what was stored and what was deleted.
func (p *prefixes) happened(events []session.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		if cmd := events[i].Command; cmd != nil && cmd.Op != session.OpGet {
			p.count(cmd, session.OK)
		}
	}
}

// count counts one command. The lock is held.
func (p *prefixes) count(cmd *session.Command, status session.Status) {
	prefix, _, found := bytes.Cut(cmd.Key, []byte{prefixDelimiter})
	if !found {
		return
	}
	if counts := p.of(prefix); counts != nil {
		counts.count(cmd.Op, status)
	}
}

// of returns the counts of a prefix, or nil if there are too many prefixes.
func (p *prefixes) of(prefix []byte) *prefixCounts {
	counts := p.all[string(prefix)]
	if counts == nil && len(p.all) < maxPrefixes {
		if p.all == nil {
			p.all = make(map[string]*prefixCounts)
		}
		counts = new(prefixCounts)
		p.all[string(prefix)] = counts
	}
	return counts
}

func (c *prefixCounts) count(op session.Op, status session.Status) {
	switch op {
	case session.OpGet:
		c.get++
		if status == session.OK {
			c.hit++
		}
	case session.OpSet, session.OpAdd, session.OpReplace, session.OpAppend, session.OpPrepend:
		c.set++
	case session.OpDelete:
		c.del++
	}
}

// clear forgets all counts.
func (p *prefixes) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = nil
}

// append appends one line per prefix.
func (p *prefixes) append(dst []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(p.all)) {
		counts := p.all[name]
		dst = append(dst, "PREFIX "...)
		dst = append(dst, name...)
		dst = append(dst, " get "...)
		dst = strconv.AppendUint(dst, counts.get, 10)
		dst = append(dst, " hit "...)
		dst = strconv.AppendUint(dst, counts.hit, 10)
		dst = append(dst, " set "...)
		dst = strconv.AppendUint(dst, counts.set, 10)
		dst = append(dst, " del "...)
		dst = strconv.AppendUint(dst, counts.del, 10)
		dst = append(dst, "\r\n"...)
	}
	return dst
}
