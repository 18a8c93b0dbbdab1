package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	manifests = "kubernetes/cairn.yaml"
	checker   = "kubernetes/check"
)

// TestManifests checks the Kubernetes manifests against the types of the
// Kubernetes API.
func TestManifests(t *testing.T) {
	installChecker(t)
	for _, file := range []string{manifests, "kubernetes/cluster.yaml", "kubernetes/proxy.yaml"} {
		if words, err := check(t, file); err != nil {
			t.Error(words)
		}
	}
}

// installChecker makes check work.
func installChecker(t *testing.T) {
	t.Helper()
	need(t, "npm")
	if _, err := os.Stat(filepath.Join(checker, "node_modules/kubernetes-models")); err != nil {
		install := exec.Command("npm", "ci", "--no-fund", "--no-audit", "--loglevel=error")
		install.Dir = checker
		if words, err := install.CombinedOutput(); err != nil {
			giveUp(t, "npm ci: "+err.Error()+"\n"+string(words))
		}
	}
}

// TestManifestFaults checks that the check finds faults.
func TestManifestFaults(t *testing.T) {
	if _, err := os.Stat(filepath.Join(checker, "node_modules/kubernetes-models")); err != nil {
		t.Skip("TestManifests could not install the checker")
	}
	good, err := os.ReadFile(manifests)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range [][2]string{
		{"readinessProbe:", "readyProbe:"},
		{"containerPort: 8211", "containerPort: http"},
	} {
		bad := filepath.Join(t.TempDir(), "bad.yaml")
		write(t, bad, strings.Replace(string(good), fault[0], fault[1], 1), 0o644)
		if words, err := check(t, bad); err == nil {
			t.Errorf("%q in place of %q passed: %s", fault[1], fault[0], words)
		}
	}
}

func check(t *testing.T, file string) (words string, err error) {
	t.Helper()
	out, err := exec.Command("node", filepath.Join(checker, "check.mjs"), file).CombinedOutput()
	return string(out), err
}
