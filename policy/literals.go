package policy

import (
	"bytes"
	"slices"
)

// Literals returns, in order, the texts that keys begin with to which rules apply.
func (s *Set) Literals() (literals [][]byte) {
	for _, r := range s.Rules() {
		for i := range r.matchers {
			if m := &r.matchers[i]; !m.anywhere && len(m.literal) > 0 {
				literals = append(literals, m.literal)
			}
		}
	}
	slices.SortFunc(literals, bytes.Compare)
	return slices.CompactFunc(literals, bytes.Equal)
}
