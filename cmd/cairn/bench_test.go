package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cairn bench is the program cairn-bench, with its arguments, output and exit
// code.
func TestBenchIsAProgramOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	code, _, stderr := cairn("bench --quick")
	if code != exitFailure || !strings.Contains(stderr, "install the package cairn-bench") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("without it: exit code %d, %q", code, stderr)
	}
	script := "#!/bin/sh\necho \"$@\"\necho progress >&2\nexit 7\n"
	if err := os.WriteFile(filepath.Join(dir, benchProgram), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := cairn("bench --quick --help")
	if code != 7 || stdout != "--quick --help\n" || stderr != "progress\n" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}
