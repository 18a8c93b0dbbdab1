package policy

import (
	"bytes"
	"cmp"
	"slices"
)

// matcher says which keys a rule applies to: those that begin with a literal, or
// with anything and then the literal, before an id of some shape.
type matcher struct {
	literal  []byte
	anywhere bool // anything may stand before the literal
	shape    shape
	kind     Kind
	rule     *Rule
}

// match reports whether key is one of those.
func (m *matcher) match(key []byte) bool {
	if !m.anywhere {
		return bytes.HasPrefix(key, m.literal) && m.shape.match(key[len(m.literal):])
	}
	for rest := key; ; {
		i := bytes.Index(rest, m.literal)
		if i < 0 {
			return false
		}
		if m.shape.match(rest[i+len(m.literal):]) {
			return true
		}
		rest = rest[i+1:]
	}
}

// String writes the matcher as `cairn rules KEY` shows it.
func (m *matcher) String() string {
	text := string(m.literal)
	if m.anywhere {
		text = "*" + text
	}
	if m.shape.class == nil {
		return text + "*"
	}
	return text + "<" + m.shape.text + ">"
}

// before orders matchers: the longer literal first, then the narrower shape.
func (m *matcher) before(o *matcher) int {
	return cmp.Or(
		cmp.Compare(len(o.literal), len(m.literal)),
		cmp.Compare(m.shape.specificity(), o.shape.specificity()),
	)
}

// Set is a set of rules. It does not change; it is safe for concurrent use. A
// nil Set has no rules.
type Set struct {
	rules  []*Rule
	fences bool // one of them has a fence
	locks  bool // one of them has locks that are volatile

	// byFirst has the matchers that a key with that first byte may fit, best
	// first.
	byFirst [256][]*matcher
}

func newSet(rules []*Rule) *Set {
	s := &Set{rules: rules}
	var all []*matcher
	for _, r := range rules {
		s.fences = s.fences || r.Fence != FenceOff
		s.locks = s.locks || r.Volatile
		for i := range r.matchers {
			all = append(all, &r.matchers[i])
		}
	}
	slices.SortStableFunc(all, (*matcher).before)
	for b := range s.byFirst {
		for _, m := range all {
			if m.anywhere || len(m.literal) == 0 || m.literal[0] == byte(b) {
				s.byFirst[b] = append(s.byFirst[b], m)
			}
		}
	}
	return s
}

// For returns the rule that applies to key and what the key is; nil and Other if
// there is none.
func (s *Set) For(key []byte) (*Rule, Kind) {
	if m := s.find(key); m != nil {
		return m.rule, m.kind
	}
	return nil, Other
}

// Explain is For with the pattern that the key matches.
func (s *Set) Explain(key []byte) (rule *Rule, kind Kind, pattern string) {
	if m := s.find(key); m != nil {
		return m.rule, m.kind, m.String()
	}
	return nil, Other, ""
}

func (s *Set) find(key []byte) *matcher {
	if s == nil || len(key) == 0 {
		return nil
	}
	for _, m := range s.byFirst[key[0]] {
		if m.match(key) {
			return m
		}
	}
	return nil
}

// Empty reports whether the set has no rules.
func (s *Set) Empty() bool { return s == nil || len(s.rules) == 0 }

// Rules returns the rules in their order. They must not be changed.
func (s *Set) Rules() []*Rule {
	if s == nil {
		return nil
	}
	return s.rules
}
