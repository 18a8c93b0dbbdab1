//go:build cairn_invariants

package engine

// Invariants says whether this build checks while it runs what must always be
// true, and ends the process if it is not: see invariants.go.
const Invariants = true
