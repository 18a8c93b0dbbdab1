package main

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Every alert leads to the page that is asked for, at the entry with its name; all else
// is as in the file.
func TestAlerts(t *testing.T) {
	file, err := os.ReadFile("../../deploy/prometheus/cairn.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	code, out, stderr := cairn("alerts")
	if code != exitOK || out != string(file) {
		t.Errorf("exit code %d, other rules than the file has: %s", code, stderr)
	}
	const page = "http://wiki.example:8080/cairn/troubleshooting?v=1"
	code, out, stderr = cairn("alerts --runbook-url " + page)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(out), &rules); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, stderr)
	}
	n := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			n++
			if url := rule.Annotations["runbook_url"]; url != page+"#"+strings.ToLower(rule.Alert) {
				t.Errorf("%s leads to %s", rule.Alert, url)
			}
		}
	}
	if n < 20 {
		t.Errorf("there are %d alerts", n)
	}
	for _, wrong := range []string{"wiki.example", "ftp://wiki.example/x", "https://", "https://wiki.example/#x", `https://wiki.example/"`, "https://wiki.example/{{x}}"} {
		if code, out, stderr := cairn("alerts --runbook-url " + wrong); code != exitUsage || out != "" || !strings.Contains(stderr, "--runbook-url") {
			t.Errorf("%s: exit code %d: %s%s", wrong, code, out, stderr)
		}
	}
}
