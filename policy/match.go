package policy

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// matcher says which keys a rule applies to: those that begin with a literal, or
// with anything and then the literal, before an id of some shape.
type matcher struct {
	literal  []byte
	anywhere bool // anything may stand before the literal
	shape    shape
	kind     Kind
	rule     *Rule

	shortest, longest int // lengths of such keys

	// mark is the place in the literal of a byte that ids seldom have.
	mark int
}

// newMatcher makes a matcher for what prefix says: a literal, or * and a literal.
func newMatcher(prefix string, s shape, kind Kind, rule *Rule) matcher {
	literal, anywhere := strings.CutPrefix(prefix, "*")
	m := matcher{literal: []byte(literal), anywhere: anywhere, shape: s, kind: kind, rule: rule}
	m.mark = max(0, bytes.LastIndexFunc(m.literal, func(r rune) bool { return !classes["alnum"].has[byte(r)] }))
	least, most := s.lengths()
	m.shortest, m.longest = len(literal)+least, len(literal)+most
	if anywhere {
		m.longest = unbounded
	}
	return m
}

// fits reports whether key may be one of those: it is not too short or too long, and
// has the literal's last byte. Most matchers are passed over by that alone.
func (m *matcher) fits(key []byte) bool {
	n := len(key)
	return n >= m.shortest && n <= m.longest && (m.anywhere || len(m.literal) == 0 || key[len(m.literal)-1] == m.literal[len(m.literal)-1])
}

// match reports whether a key that fits is one of those.
func (m *matcher) match(key []byte) bool {
	if m.anywhere {
		return m.matchAnywhere(key)
	}
	return bytes.HasPrefix(key, m.literal) && m.shape.match(key[len(m.literal):])
}

// matchAnywhere looks for the literal where an id behind it has the right length.
func (m *matcher) matchAnywhere(key []byte) bool {
	n := len(m.literal)
	if m.shape.least == m.shape.most && m.shape.class != nil && !m.shape.tomcat { // there is one such place
		behind := len(key) - m.shape.most
		return bytes.HasSuffix(key[:behind], m.literal) && m.shape.match(key[behind:])
	}
	if n > 0 && bytes.IndexByte(key[m.mark:], m.literal[m.mark]) < 0 { // cheaper than to look for all of it
		return false
	}
	least, most := m.shape.lengths()
	last := len(key) - n - least
	for i := max(0, len(key)-n-most); i <= last; i++ {
		at := bytes.Index(key[i:last+n], m.literal)
		if at < 0 {
			return false
		}
		if i += at; m.shape.match(key[i+n:]) {
			return true
		}
	}
	return false
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
	owners bool // one of them knows owners

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
		s.owners = s.owners || len(r.Owner) > 0
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
		if m.fits(key) && m.match(key) {
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
