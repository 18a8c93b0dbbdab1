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
	if words, err := check(t, manifests, "kubernetes/cluster.yaml", "kubernetes/proxy.yaml"); err != nil {
		t.Error(words)
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
	dir := t.TempDir()
	fine := filepath.Join(dir, "fine.yaml")
	write(t, fine, string(good), 0o644)
	faults := map[string][2]string{
		"field.yaml": {"readinessProbe:", "readyProbe:"},
		"value.yaml": {"containerPort: 8211", "containerPort: http"},
	}
	files := []string{fine}
	for name, fault := range faults {
		files = append(files, filepath.Join(dir, name))
		write(t, files[len(files)-1], strings.Replace(string(good), fault[0], fault[1], 1), 0o644)
	}
	words, err := check(t, files...)
	if err == nil || strings.Contains(words, "fine.yaml") {
		t.Errorf("%v: %s", err, words)
	}
	for name, fault := range faults {
		if !strings.Contains(words, name) {
			t.Errorf("%q in place of %q passed: %s", fault[1], fault[0], words)
		}
	}
}

// check checks files, all in one run of the compiler, and returns what is wrong with
// which.
func check(t *testing.T, files ...string) (words string, err error) {
	t.Helper()
	out, err := exec.Command("node", append([]string{filepath.Join(checker, "check.mjs")}, files...)...).CombinedOutput()
	return string(out), err
}
