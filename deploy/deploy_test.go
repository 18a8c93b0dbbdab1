// Package deploy_test tries what stands in this directory on the real thing:
// systemd, dpkg, a container builder.
package deploy_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// need returns the path of a program. Without it the test is skipped, or fails
// where nothing may be skipped.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		giveUp(t, program+" is not installed")
	}
	return path
}

// needRoot is for the long tests, too: they are not for a quick check.
func needRoot(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
	if os.Geteuid() != 0 {
		giveUp(t, "this needs root")
	}
}

func giveUp(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// output runs a command, which must succeed, and returns its words.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	words, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, words)
	}
	return string(words)
}
