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
	buildRelease(t, dir, "-version", "1.0.0", "-arch", runtime.GOARCH, "-only", "deb")
	newer, err := filepath.Glob(filepath.Join(sharedRelease(t), "cairn_"+sharedVersion+"_*.deb"))
	if err != nil || len(newer) != 1 {
		t.Fatal(newer, err)
	}
	output(t, exec.Command("cp", newer[0], dir))
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
