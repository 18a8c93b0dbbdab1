package memcachedfront_test

import (
	"net"
	"os/exec"
	"regexp"
	"slices"
	"testing"
)

// onlyOld are the tests that memcached 1.6.18 passes and 1.6.45 does not: they want
// an error for superfluous arguments, which newer versions ignore.
var onlyOld = []string{"ascii delete", "ascii delete noreply"}

// TestMemccapable runs libmemcached's protocol tests against memcached and
// Cairn: what one passes, the other must.
func TestMemccapable(t *testing.T) {
	program := needProgram(t, "memccapable")
	want := memccapable(t, program, startMemcached(t))
	got := memccapable(t, program, startServer(t, nil))
	passed := 0
	for name, outcome := range want {
		if outcome != "pass" || slices.Contains(onlyOld, name) {
			continue
		}
		passed++
		if got[name] != "pass" {
			t.Errorf("%s: %q, memcached passes", name, got[name])
		}
	}
	if passed < 50 {
		t.Errorf("memcached passes %d tests only: %v", passed, want)
	}
}

// memccapableSum is said in the middle of the last test's line.
var memccapableSum = regexp.MustCompile(`\d+ of \d+ tests failed\s*`)

var memccapableLine = regexp.MustCompile(`(?m)^((?:ascii|binary) .*?) *\[(\w+)\]`)

// memccapable returns the outcome of each test by its name.
func memccapable(t *testing.T, program, address string) map[string]string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(program, "-h", host, "-p", port, "-t", "30").CombinedOutput()
	if err != nil {
		t.Logf("%s ended with %v", program, err)
	}
	output = memccapableSum.ReplaceAll(output, nil)
	outcomes := map[string]string{}
	for _, match := range memccapableLine.FindAllStringSubmatch(string(output), -1) {
		outcomes[match[1]] = match[2]
		t.Logf("%s %s: %s", address, match[1], match[2])
	}
	return outcomes
}
