package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestPackage installs, upgrades and removes the Debian package on a copy of
// this machine that systemd runs. The steps are in testdata/package.sh.
func TestPackage(t *testing.T) {
	needRoot(t)
	for _, program := range []string{"dpkg-deb", "systemd-nspawn", "unshare"} {
		need(t, program)
	}
	dir := t.TempDir()
	for _, version := range []string{"1.0.0", "1.1.0"} {
		buildRelease(t, dir, "-version", version, "-arch", runtime.GOARCH, "-only", "deb")
	}
	for _, name := range []string{"package.sh", "cairn-test.service"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	boot := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "testdata/machine.sh", dir)
	console, err := boot.CombinedOutput()
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	if _, missing := os.Stat(filepath.Join(dir, "passed")); err != nil || missing != nil {
		t.Fatalf("the machine failed: %v\n%s\n%s", err, console, log)
	}
	t.Logf("%s", log)
}
