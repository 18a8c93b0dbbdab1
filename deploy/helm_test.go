package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everything switches on what the chart has, and gives odd texts to what takes any.
const everything = `
image: {repository: registry.example/cairn, tag: 1.2.3}
imagePullSecrets: [{name: pull}]
nameOverride: "true"
config: {memory: 256m, durability: "interval:100ms"}
usersSecret: users
tls: {memcachedSecret: tls, httpSecret: http-tls}
service: {type: LoadBalancer, port: 11212, annotations: {example/internal: "true"}}
adminService: {port: 443}
persistence: {size: 1.5Ti, storageClass: fast, accessModes: [ReadWriteOnce], annotations: {a: "1"}}
networkPolicy:
  clientLabels: {shop: "yes"}
  extraIngress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: memcached}]}]
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}, runbookUrl: "https://wiki.example/cairn"}
podAnnotations: {b: "2"}
podLabels: {team: "7"}
nodeSelector: {disk: nvme}
tolerations: [{key: sessions, operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: high
`

// TestChart lints the chart and renders it with Helm's own library, and checks the
// manifests against the types of the Kubernetes API.
func TestChart(t *testing.T) {
	helm := buildHelmCheck(t)
	for name, values := range map[string]string{
		"defaults":   "",
		"everything": everything,
		"least":      "podDisruptionBudget: {enabled: false}\nnetworkPolicy: {enabled: false}\n",
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := renderChart(t, helm, values)
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]any{}
			var builtIn bytes.Buffer
			for _, document := range strings.Split(rendered, "---\n") {
				var manifest map[string]any
				if err := yaml.Unmarshal([]byte(document), &manifest); err != nil {
					t.Fatalf("%v in\n%s", err, document)
				}
				kind, _ := manifest["kind"].(string)
				kinds[kind] = manifest
				if kind != "" && kind != "ServiceMonitor" && kind != "PrometheusRule" { // which Kubernetes does not know
					builtIn.WriteString("---\n" + document)
				}
			}
			want := map[string][]string{
				"defaults":   {"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet"},
				"everything": {"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "Service", "ServiceMonitor", "StatefulSet"},
				"least":      {"ConfigMap", "Service", "StatefulSet"},
			}[name]
			for _, kind := range want {
				if kinds[kind] == nil {
					t.Errorf("there is no %s", kind)
				}
				delete(kinds, kind)
			}
			if delete(kinds, ""); len(kinds) > 0 {
				t.Errorf("there is also %v", kinds)
			}
			checkConfiguration(t, rendered)
			installChecker(t)
			file := filepath.Join(t.TempDir(), "rendered.yaml")
			write(t, file, builtIn.String(), 0o644)
			if words, err := check(t, file); err != nil {
				t.Error(words)
			}
		})
	}
}

// TestChartAlerts has every alert look at the chart's own job, and lead to its entry on
// the page that is asked for. A chart can have files of its own only, so it has a copy of
// the rules.
func TestChartAlerts(t *testing.T) {
	rules, copied := read(t, "prometheus", "cairn.rules.yml"), read(t, "helm/cairn/files", "cairn.rules.yml")
	if rules != copied {
		t.Fatal("helm/cairn/files/cairn.rules.yml is not what prometheus/cairn.rules.yml is; copy it")
	}
	helm := buildHelmCheck(t)
	for values, page := range map[string]string{
		"":                              "http://{{ $labels.instance }}/docs/troubleshooting",
		"tls: {httpSecret: http-tls}\n": "https://{{ $labels.instance }}/docs/troubleshooting",
		"tls: {httpSecret: http-tls}\nfullnameOverride: web\n":                "https://{{ $labels.instance }}/docs/troubleshooting",
		"RUNBOOK https://wiki.example/cairn/troubleshooting":                  "https://wiki.example/cairn/troubleshooting",
		"RUNBOOK https://{{ $labels.instance }}/proxied/docs/troubleshooting": "https://{{ $labels.instance }}/proxied/docs/troubleshooting",
	} {
		rest, runbook, _ := strings.Cut(values, "RUNBOOK ")
		rendered, err := renderChart(t, helm, rest+"prometheusRule: {enabled: true, runbookUrl: '"+runbook+"'}\n")
		if err != nil {
			t.Fatal(err)
		}
		checkAlerts(t, rendered, page)
	}
}

func checkAlerts(t *testing.T, rendered, page string) {
	t.Helper()
	n := 0
	for decoder := yaml.NewDecoder(strings.NewReader(rendered)); ; {
		var manifest struct {
			Kind string
			Spec struct {
				Groups []struct {
					Rules []struct {
						Alert, Expr string
						Annotations map[string]string
					}
				}
			}
		}
		err := decoder.Decode(&manifest)
		if errors.Is(err, io.EOF) {
			break
		}
		if manifest.Kind != "PrometheusRule" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range manifest.Spec.Groups {
			for _, rule := range group.Rules {
				n++
				if url := rule.Annotations["runbook_url"]; url != page+"#"+strings.ToLower(rule.Alert) {
					t.Errorf("%s leads to %s", rule.Alert, url)
				}
				if rule.Alert == "CairnDown" && rule.Expr != `up{job="sessions-cairn-admin"} == 0` && rule.Expr != `up{job="web-admin"} == 0` {
					t.Errorf("CairnDown asks for %s", rule.Expr)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("there are %d alerts", n)
	}
}

// The server takes the configuration that the chart writes.
func checkConfiguration(t *testing.T, rendered string) {
	t.Helper()
	for decoder := yaml.NewDecoder(strings.NewReader(rendered)); ; {
		var manifest struct {
			Kind string
			Data map[string]string
		}
		switch err := decoder.Decode(&manifest); {
		case errors.Is(err, io.EOF):
			t.Error("there is no configuration")
			return
		case err != nil:
			t.Fatal(err)
		case manifest.Kind != "ConfigMap":
			continue
		}
		file := filepath.Join(t.TempDir(), "cairn.yaml")
		write(t, file, manifest.Data["cairn.yaml"], 0o644)
		words := output(t, exec.Command("go", "run", "../cmd/cairn", "config", "--config", file))
		for _, setting := range []string{"/data", ":8211", "/etc/cairn-tokens/tokens"} {
			if !strings.Contains(words, setting) {
				t.Errorf("the server does not know of %s:\n%s", setting, words)
			}
		}
		return
	}
}

// What would make a server that does not work, or that is not what was asked for,
// is refused before anything is installed.
func TestChartRefuses(t *testing.T) {
	helm := buildHelmCheck(t)
	for _, values := range []string{
		"config: {port: 11212}",
		"config: {data-dir: /tmp}",
		"replicas: 2",
		"persistence: {size: much}",
		"persistence: {size: 1Gi, accessModes: [ReadWriteMany]}",
		"tokensSecret: ''",
		"service: {port: 70000}",
		"prometheusRule: {runbookUrl: 'wiki.example'}",
		"prometheusRule: {runbookUrl: 'https://wiki.example/#top'}",
	} {
		if rendered, err := renderChart(t, helm, values); err == nil {
			t.Errorf("%s is taken:\n%s", values, rendered)
		}
	}
}

// The chart installs the version of Cairn that it comes with.
func TestChartVersion(t *testing.T) {
	source, err := os.ReadFile("../cmd/cairn/version.go")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`var version = "(.+)"`).FindSubmatch(source)
	chart, err := os.ReadFile("helm/cairn/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if version == nil || !slices.Contains(strings.Split(string(chart), "\n"), "appVersion: "+string(version[1])) {
		t.Errorf("Chart.yaml does not have the program's version %s", version)
	}
	if bench, err := os.ReadFile("../cmd/cairn-bench/main.go"); err != nil || version != nil && !bytes.Contains(bench, version[0]) {
		t.Errorf("cairn-bench does not have the program's version %s, %v", version, err)
	}
}

func buildHelmCheck(t *testing.T) (program string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds Helm's library")
	}
	program = filepath.Join(t.TempDir(), "check")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "helm/check"
	output(t, build)
	return program
}

func renderChart(t *testing.T, helm, values string) (manifests string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	write(t, file, values, 0o644)
	var out, words bytes.Buffer
	cmd := exec.Command(helm, "helm/cairn", file)
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return out.String(), errors.New(words.String())
	}
	return out.String(), nil
}
