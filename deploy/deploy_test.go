// Package deploy_test tries what stands in this directory on the real thing:
// systemd, dpkg, a container builder.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cairn/built"
)

// sharedDir has what several tests use, each made by the first of them; TestMain removes
// it. No tests run side by side here.
var sharedDir string

var isShared = map[string]bool{} // by name

func TestMain(m *testing.M) {
	code := m.Run()
	if sharedDir != "" {
		os.RemoveAll(sharedDir)
	}
	os.Exit(code)
}

// shared returns the path of what make puts there, unless a test has had it made before.
// Nobody may change it.
func shared(t *testing.T, name string, make func(path string)) (path string) {
	t.Helper()
	if sharedDir == "" {
		var err error
		if sharedDir, err = os.MkdirTemp("", "cairn-deploy-"); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(sharedDir, name)
	if !isShared[name] {
		make(path)
		isShared[name] = true
	}
	return path
}

// cairn returns the path of the program.
func cairn(t *testing.T) string {
	t.Helper()
	return shared(t, "cairn", func(path string) {
		if err := (built.Program{Package: "cairn/cmd/cairn", Static: true}).To(path); err != nil {
			t.Fatal(err)
		}
	})
}

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
