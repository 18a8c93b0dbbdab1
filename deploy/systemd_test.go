package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUnits lets systemd read the units as they will be installed, in a root
// directory that has what they refer to.
func TestUnits(t *testing.T) {
	need(t, "systemd-analyze")
	root := t.TempDir()
	units := filepath.Join(root, "lib/systemd/system")
	for _, dir := range []string{units, filepath.Join(root, "usr/bin"), filepath.Join(root, "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"usr/bin/cairn"} {
		write(t, filepath.Join(root, program), "#!/bin/sh\n", 0o755)
	}
	for _, target := range []string{"sysinit", "basic", "multi-user", "network", "network-online", "shutdown", "sockets", "time-sync"} {
		write(t, filepath.Join(units, target+".target"), "[Unit]\nDescription="+target+"\n", 0o644)
	}
	var paths []string
	for _, name := range []string{"cairn.service", "cairn-proxy.service", "cairn.socket", "cairn-http.socket"} {
		content, err := os.ReadFile(filepath.Join("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(units, name), string(content), 0o644)
		paths = append(paths, filepath.Join("/lib/systemd/system", name))
	}
	verify := exec.Command("systemd-analyze", append([]string{"verify", "--man=no", "--root=" + root}, paths...)...)
	for line := range strings.Lines(output(t, verify)) {
		newer := strings.Contains(line, "'RestartSteps'") || strings.Contains(line, "'RestartMaxDelaySec'") // systemd 254
		if strings.Contains(line, "cairn") && !newer {
			t.Error(line)
		}
	}
}

// TestHardening lets systemd judge what the service may do: 0 is nothing, 10 is
// everything. What is left is the network and its own user.
func TestHardening(t *testing.T) {
	need(t, "systemd-analyze")
	for _, unit := range []string{"systemd/cairn.service", "systemd/cairn-proxy.service"} {
		judge := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=16", "--no-pager", unit)
		if out, err := judge.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// TestTheServiceIsTriedForEver looks at what systemd makes of failing starts: no
// number of them ends the service, and it waits for the network.
func TestTheServiceIsTriedForEver(t *testing.T) {
	unit, err := os.ReadFile("systemd/cairn.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"StartLimitIntervalSec=0", "Restart=on-failure", "RestartMaxDelaySec=1min"} {
		if !strings.Contains(string(unit), "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	if !strings.Contains(string(unit), "\nTimeoutStartSec=infinity\n") {
		t.Error("a node that waits for others is started again")
	}
	for _, setting := range []string{"Wants=", "After="} {
		if !regexp.MustCompile(`(?m)^` + setting + `.*\bnetwork-online\.target\b`).Match(unit) {
			t.Errorf("%s does not name network-online.target", setting)
		}
	}
}
