package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"cairn/deploy/prometheus"
)

// troubleshooting.md has an entry for every alert and for every message of level
// warning and above, and for nothing else.
func TestTroubleshootingIsComplete(t *testing.T) {
	page, err := os.ReadFile("troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts, messages, found := strings.Cut(string(page), "\n## Messages in the log\n")
	if !found {
		t.Fatal("no section of messages")
	}
	compare(t, "alert", entries(alerts, `(?m)^### (\w+)$`), alertNames(t))
	compare(t, "message", entries(messages, "(?m)^### `(.+)`$"), logMessages(t))
}

// entries returns what the headings that match have in their first group.
func entries(text, heading string) (names []string) {
	for _, m := range regexp.MustCompile(heading).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

func compare(t *testing.T, what string, written, exist []string) {
	t.Helper()
	for _, name := range exist {
		if !slices.Contains(written, name) {
			t.Errorf("%s %q has no entry in troubleshooting.md", what, name)
		}
	}
	for i, name := range written {
		if !slices.Contains(exist, name) {
			t.Errorf("troubleshooting.md has %s %q, which does not exist", what, name)
		}
		if slices.Contains(written[:i], name) {
			t.Errorf("troubleshooting.md has %s %q twice", what, name)
		}
	}
}

// Every alert links to its own entry.
func TestAlertsHaveRunbooks(t *testing.T) {
	page, err := os.ReadFile("troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	text, err := prometheus.Rules("")
	if err == nil {
		err = yaml.Unmarshal([]byte(text), &rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			n++
			anchor := strings.ToLower(rule.Alert) // as the server and code hosts make them of headings
			if url := rule.Annotations["runbook_url"]; url != prometheus.RunbookURL+"#"+anchor {
				t.Errorf("%s links to %q", rule.Alert, url)
			}
			if !strings.Contains(string(page), "\n### "+rule.Alert+"\n") {
				t.Errorf("troubleshooting.md has no heading for #%s", anchor)
			}
		}
	}
	if n == 0 || n != len(alertNames(t)) {
		t.Errorf("%d alerts were read of %d", n, len(alertNames(t)))
	}
}

func alertNames(t *testing.T) []string {
	t.Helper()
	rules, err := os.ReadFile("../deploy/prometheus/cairn.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	return entries(string(rules), `(?m)^ +- alert: (\w+)$`)
}

// logMessages returns the constant messages of level warning and above that the
// server's packages log.
func logMessages(t *testing.T) (messages []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "node_modules" || name == "bench" || name == "testdata" || strings.HasPrefix(name, ".") && name != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if m := logMessage(call); m != "" && !slices.Contains(messages, m) {
					messages = append(messages, m)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(messages) < 20 {
		t.Fatalf("only %d messages were found: %q", len(messages), messages)
	}
	return messages
}

// logMessage returns the message of a call like logger.Warn("...", ...) or
// log(slog.LevelError, "...", ...), or "".
func logMessage(call *ast.CallExpr) string {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return ""
	}
	argument := -1
	switch method.Sel.Name {
	case "Warn", "Error":
		argument = 0
	case "WarnContext", "ErrorContext", "log":
		argument = 1
	}
	if argument < 0 || argument >= len(call.Args) || method.Sel.Name == "log" && !isAlarm(call.Args[0]) ||
		method.Sel.Name != "log" && !isLogger(method.X) {
		return ""
	}
	message := call.Args[argument]
	if sum, ok := message.(*ast.BinaryExpr); ok { // the constant beginning
		message = sum.X
	}
	literal, ok := message.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(literal.Value)
	return strings.TrimRight(text, ": ")
}

// isLogger goes by the name of what a method is called on.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "logger"
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "logger") || x.Sel.Name == "log"
	}
	return false
}

// isAlarm says whether a level is warning or error.
func isAlarm(level ast.Expr) bool {
	name, ok := level.(*ast.SelectorExpr)
	return ok && (name.Sel.Name == "LevelWarn" || name.Sel.Name == "LevelError")
}
