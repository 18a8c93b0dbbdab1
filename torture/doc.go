// Package torture proves Cairn's promises by force: an acknowledged session
// survives whatever happens to the process, the disk and the clock, and a
// session that is gone never comes back. It has no code but tests.
//
// Everything the tests judge by is outside the server: package sessiontest's
// model says what each reply must be, and package torture speaks the wire
// protocols by itself.
//
// The short form runs with go test and takes a minute or two. The long form is
// the same tests with more rounds:
//
//	go test -timeout 0 -v ./torture -long
//
// At its end it prints a table of what each test did, as docs/reliability.md
// quotes it, and leaves it with the plots of the soak in the folder out.
//
// CAIRN_TORTURE=long in the environment says -long too. CAIRN_TORTURE_SCALE
// makes it longer or shorter (0.1: a tenth). CAIRN_TORTURE_SEED repeats the
// random choices of an earlier run, which names its seed when it fails.
package torture
