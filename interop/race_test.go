//go:build race

package interop

// The server under test has the race detector when the tests have it, and checks its
// invariants as the engine's own tests do then: both share what is compiled.
var buildFlags = []string{"-race", "-tags", "cairn_invariants"}
