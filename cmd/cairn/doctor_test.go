package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/doctor"
)

func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	code, out, stderr := cairn("doctor --data-dir " + dir)
	for _, check := range []string{"data directory", "free space", "fdatasync of 4 KB", "open files"} {
		if !strings.Contains(out, check) {
			t.Errorf("exit code %d, no %q in %s%s", code, check, out, stderr)
		}
	}
	users := filepath.Join(dir, "users")
	if err := os.WriteFile(users, []byte("u:p\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(users, 0o644); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	// A file in place of the directory is graded as a failure.
	code, out, stderr = cairn("doctor --output json --data-dir " + users + " --auth-file " + users)
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(out), &findings); err != nil || code != exitFailure || !strings.Contains(stderr, "needs to be done") {
		t.Fatalf("exit code %d, %v, %s%s", code, err, out, stderr)
	}
	if !strings.Contains(out, "is not a directory") || !strings.Contains(out, "mode 0644") {
		t.Errorf("%s", out)
	}
	if code, _, _ := cairn("doctor --output xml"); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}

// A doctor that is cancelled says so, with the code that every command has for it.
func TestDoctorCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, stderr bytes.Buffer
	if code := run(ctx, []string{"doctor", "--data-dir", t.TempDir()}, nil, &out, &stderr); code != 130 || stderr.String() != "cairn: cancelled\n" {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}
