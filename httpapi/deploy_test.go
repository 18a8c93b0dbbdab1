package httpapi

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/cluster"
	"cairn/cluster/proxy"
)

const (
	rulesFile     = "../deploy/prometheus/cairn.rules.yml"
	rulesTest     = "../deploy/prometheus/cairn.rules.test.yml"
	dashboardFile = "../deploy/grafana/cairn.json"
)

// promtool runs Prometheus' own checker.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestAlertRules(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", rulesTest)
}

// exported returns the names of all series that the server exports, as a node of a
// cluster too.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	h, _ := startWhole(t)
	h.do("GET", "/livez", nil)
	names := map[string]bool{}
	for line := range strings.Lines(string(h.do("GET", "/metrics", nil).want(t, 200).body)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ = strings.Cut(name, "{")
		names[name] = true
	}
	described := make(chan *prometheus.Desc)
	go func() {
		defer close(described)
		(*cluster.Node)(nil).Describe(described)
		(*proxy.Proxy)(nil).Describe(described)
	}()
	for desc := range described {
		_, name, _ := strings.Cut(desc.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		names[name] = true
		if strings.HasSuffix(name, "_seconds") { // a histogram's description has no series
			names[name+"_bucket"], names[name+"_sum"], names[name+"_count"] = true, true, true
		}
	}
	return names
}

var metricName = regexp.MustCompile(`\b(?:cairn|process|go)_[a-z0-9_]+`)

// TestDashboardAndRulesUseWhatThereIs finds misspelt and forgotten metrics in
// both files.
func TestDashboardAndRulesUseWhatThereIs(t *testing.T) {
	names := exported(t)
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		if expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr:"); ok {
			compareNames(t, names, expr)
		}
	}
	dashboard, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &d); err != nil {
		t.Fatal(err)
	}
	expressions := 0
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			expressions++
			compareNames(t, names, target.Expr)
		}
	}
	if expressions < 30 {
		t.Errorf("the dashboard has only %d expressions", expressions)
	}
}

func compareNames(t *testing.T, names map[string]bool, expr string) {
	t.Helper()
	for _, name := range metricName.FindAllString(expr, -1) {
		if !names[name] {
			t.Errorf("there is no metric %s, in %s", name, expr)
		}
	}
}

// TestDashboardExpressionsAreValid has promtool parse them as recording rules.
func TestDashboardExpressionsAreValid(t *testing.T) {
	dashboard, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	seen := map[string]bool{}
	for _, match := range regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(string(dashboard), -1) {
		var expr string
		if err := json.Unmarshal([]byte(match[1]), &expr); err != nil {
			t.Fatal(err)
		}
		expr = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*").Replace(expr)
		if seen[expr] {
			continue
		}
		seen[expr] = true
		quoted, _ := json.Marshal(expr) // JSON is YAML
		rules.WriteString("      - {record: 'panel:expr:value', labels: {n: '" + string(rune('a'+len(seen)/26)) + string(rune('a'+len(seen)%26)) + "'}, expr: " + string(quoted) + "}\n")
	}
	file := t.TempDir() + "/dashboard.yml"
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// TestDocumentation compares the operators' pages with what the server offers:
// every metric, every alert and every operation is on them, and no other.
func TestDocumentation(t *testing.T) {
	read := func(file string) string {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	metrics, rules, api := read("../docs/metrics.md"), read(rulesFile), read("../docs/http-api.md")

	histogram := regexp.MustCompile(`_(bucket|count|sum)$`)
	families := map[string]bool{}
	for name := range exported(t) {
		if strings.HasPrefix(name, "cairn_") {
			families[histogram.ReplaceAllString(name, "")] = true
		}
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile(`cairn_[a-z0-9_]+`).FindAllString(metrics, -1) {
		documented[name] = true
	}
	compareSets(t, "metrics.md", documented, families)

	alerts, described := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		alerts[m[1]] = true
	}
	for _, name := range regexp.MustCompile(`\bCairn[A-Z]\w+`).FindAllString(metrics, -1) {
		described[name] = true
	}
	compareSets(t, "metrics.md", described, alerts)

	operations, listed := map[string]bool{"GET /metrics": true, "GET /debug/pprof/": true}, map[string]bool{}
	for _, operation := range newContract(start(t, Options{})).operations() {
		operations[operation] = true
	}
	for _, m := range regexp.MustCompile("`((?:GET|PUT|POST|DELETE) /[^`?]*)`").FindAllStringSubmatch(api, -1) {
		if m[1] != "GET /openapi.json" {
			listed[m[1]] = true
		}
	}
	compareSets(t, "http-api.md", listed, operations)
}

func compareSets(t *testing.T, page string, has, want map[string]bool) {
	t.Helper()
	for name := range want {
		if !has[name] {
			t.Errorf("%s lacks %s", page, name)
		}
	}
	for name := range has {
		if !want[name] {
			t.Errorf("%s has %s, which there is not", page, name)
		}
	}
}
