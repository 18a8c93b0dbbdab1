//go:build race

package interop

// The server under test has the race detector when the tests have it.
const buildFlag = "-race"
