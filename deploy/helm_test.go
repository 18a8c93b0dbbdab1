package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"cairn/built"
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
	installChecker(t)
	dir, files := t.TempDir(), []string{}
	for name, values := range map[string]string{
		"defaults":   "",
		"everything": everything,
		"least":      "podDisruptionBudget: {enabled: false}\nnetworkPolicy: {enabled: false}\n",
		"cluster":    "cluster: {enabled: true, replicas: 5, tlsSecret: nodes, spread: {zones: DoNotSchedule}}\n",
		"plaintext":  "cluster: {enabled: true, plaintext: true}\n" + everything[:strings.Index(everything, "config:")] + "config: {patience: 20s}\n",
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
				"cluster":    {"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet"},
				"plaintext":  {"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet"},
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
			checkConfiguration(t, decodeAll(t, rendered))
			files = append(files, filepath.Join(dir, name+".yaml"))
			write(t, files[len(files)-1], builtIn.String(), 0o644)
		})
	}
	if words, err := check(t, files...); err != nil {
		t.Error(words)
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

// manifest is what the tests look at in one of Kubernetes'.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		ServiceName              string `yaml:"serviceName"`
		PodManagementPolicy      string `yaml:"podManagementPolicy"`
		Replicas                 int
		MinReadySeconds          int    `yaml:"minReadySeconds"`
		MaxUnavailable           *int   `yaml:"maxUnavailable"`
		ClusterIP                string `yaml:"clusterIP"`
		PublishNotReadyAddresses bool   `yaml:"publishNotReadyAddresses"`
		Ports                    any
		UpdateStrategy           any `yaml:"updateStrategy"`
		Template                 struct {
			Spec struct {
				TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				TopologySpreadConstraints     []struct {
					TopologyKey       string `yaml:"topologyKey"`
					WhenUnsatisfiable string `yaml:"whenUnsatisfiable"`
				} `yaml:"topologySpreadConstraints"`
				Containers []struct {
					Args             []string
					Env              []struct{ Name, Value string }
					Ports, Lifecycle any
					VolumeMounts     any   `yaml:"volumeMounts"`
					StartupProbe     probe `yaml:"startupProbe"`
					LivenessProbe    probe `yaml:"livenessProbe"`
					ReadinessProbe   probe `yaml:"readinessProbe"`
				}
			}
		}
	}
}

type probe struct {
	HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
	PeriodSeconds    int                         `yaml:"periodSeconds"`
	TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
	FailureThreshold int                         `yaml:"failureThreshold"`
}

func decodeAll(t *testing.T, text string) (all []manifest) {
	t.Helper()
	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var one manifest
		switch err := decoder.Decode(&one); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

func ofKind(t *testing.T, all []manifest, kind string) *manifest {
	t.Helper()
	for i := range all {
		if all[i].Kind == kind {
			return &all[i]
		}
	}
	t.Fatalf("there is no %s", kind)
	return nil
}

// The server takes the configuration and the environment that the chart writes.
func checkConfiguration(t *testing.T, all []manifest) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cairn.yaml")
	write(t, file, ofKind(t, all, "ConfigMap").Data["cairn.yaml"], 0o644)
	set := ofKind(t, all, "StatefulSet")
	settings := []string{"/data", ":8211", "/etc/cairn-tokens/tokens"}
	show := exec.Command(cairn(t), "config", "--config", file)
	show.Env = os.Environ()
	for _, v := range set.Spec.Template.Spec.Containers[0].Env {
		if v.Value != "" {
			value := strings.ReplaceAll(v.Value, "$(POD_NAME)", set.Metadata.Name+"-0")
			show.Env = append(show.Env, v.Name+"="+value)
			settings = append(settings, value)
		}
	}
	words := output(t, show)
	for _, setting := range settings {
		if !strings.Contains(words, setting) {
			t.Errorf("the server does not know of %s:\n%s", setting, words)
		}
	}
}

// The chart makes of a cluster what kubernetes/cluster.yaml does.
func TestChartIsManifest(t *testing.T) {
	rendered, err := renderChart(t, buildHelmCheck(t), "cluster: {enabled: true, tlsSecret: cairn-nodes}\nconfig: {memory: 256m}\n")
	if err != nil {
		t.Fatal(err)
	}
	chart := decodeAll(t, strings.NewReplacer("sessions-cairn", "cairn", ".shop.", ".cairn.").Replace(rendered))
	plain := decodeAll(t, read(t, "kubernetes", "cluster.yaml"))
	if len(chart) != len(plain) {
		t.Errorf("%d manifests of the chart, %d plain ones", len(chart), len(plain))
	}
	for _, want := range plain {
		k := slices.IndexFunc(chart, func(m manifest) bool { return m.Kind == want.Kind && m.Metadata.Name == want.Metadata.Name })
		if k < 0 {
			t.Errorf("the chart has no %s %s", want.Kind, want.Metadata.Name)
			continue
		}
		got := chart[k]
		for _, m := range []*manifest{&got, &want} { // the order and the quotes of the file do not matter
			for name, file := range m.Data {
				var settings map[string]any
				if err := yaml.Unmarshal([]byte(file), &settings); err != nil {
					t.Fatal(err)
				}
				m.Data[name] = fmt.Sprint(settings)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s of the chart:\n%+v\nand plain:\n%+v", want.Kind, want.Metadata.Name, got, want)
		}
	}
}

// What would make a server that does not work, or that is not what was asked for,
// is refused before anything is installed.
func TestChartRefuses(t *testing.T) {
	helm := buildHelmCheck(t)
	for _, values := range []string{
		"config: {port: 11212}",
		"config: {data-dir: /tmp}",
		"cluster: {enabled: true}",
		"cluster: {enabled: true, tlsSecret: nodes, plaintext: true}",
		"cluster: {enabled: true, tlsSecret: nodes, replicas: 2}",
		"cluster: {enabled: true, tlsSecret: nodes}\nconfig: {durability: 'interval:1s'}",
		"cluster: {enabled: true, tlsSecret: nodes}\nconfig: {join: [elsewhere:7211]}",
		"cluster: {enabled: true, tlsSecret: nodes}\nterminationGracePeriodSeconds: 10",
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
	return shared(t, "check", func(path string) {
		if err := (built.Program{Package: ".", Dir: "helm/check"}).To(path); err != nil {
			t.Fatal(err)
		}
	})
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
