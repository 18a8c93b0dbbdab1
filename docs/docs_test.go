package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cairn/cmd/cairn/config"
)

var update = flag.Bool("update", false, "write the generated part of configuration.md")

const generated = "<!-- From here on, written by: go test ./docs -update -->\n"

// configuration.md lists exactly the settings there are.
func TestConfigurationReference(t *testing.T) {
	page, err := os.ReadFile("configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	head, tables, ok := strings.Cut(string(page), generated)
	if !ok {
		t.Fatalf("configuration.md has lost the line %q", generated)
	}
	var want strings.Builder
	if err := config.WriteMarkdown(&want); err != nil {
		t.Fatal(err)
	}
	if tables == want.String() {
		return
	}
	if !*update {
		t.Fatal("configuration.md is not what the flags say: run go test ./docs -update")
	}
	if err := os.WriteFile("configuration.md", []byte(head+generated+want.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Deps                               []string // imports of imports too
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// dependencies.md names every module that the code imports, in the version
// that go.mod has.
func TestDependenciesAreListed(t *testing.T) {
	page, err := os.ReadFile("dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	versions := moduleVersions(t)
	used := map[string]bool{}
	for _, p := range packages(t) {
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if module := moduleOf(path, versions); module != "" {
				used[module] = true
			}
		}
	}
	for module := range used {
		if row := "| " + module + " | " + versions[module] + " |"; !strings.Contains(string(page), row) {
			t.Errorf("dependencies.md lacks %q", row)
		}
	}
}

var requirement = regexp.MustCompile(`(?m)^\t(\S+) (v\S+)`)

func moduleVersions(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, m := range requirement.FindAllStringSubmatch(string(text), -1) {
		versions[m[1]] = m[2]
	}
	return versions
}

// moduleOf returns the module that a package belongs to, "" for our own and the
// standard library's.
func moduleOf(path string, versions map[string]string) string {
	for ; path != "."; path = filepath.Dir(path) {
		if versions[path] != "" {
			return path
		}
	}
	return ""
}

// The rules of the layout that the README states.
func TestLayout(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			for _, broken := range brokenRules(p.ImportPath, path) {
				t.Errorf("%s imports %s: %s", p.ImportPath, path, broken)
			}
		}
		if p.ImportPath == "cairn/admincli" || p.ImportPath == "cairn/adminapi" {
			for _, path := range p.Deps {
				if path == "cairn/httpapi" || strings.HasPrefix(path, "cairn/engine") {
					t.Errorf("%s needs %s: administration speaks to a server, it is none", p.ImportPath, path)
				}
			}
		}
	}
}

func brokenRules(from, to string) (broken []string) {
	within := func(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
	thirdParty := strings.Contains(strings.Split(to, "/")[0], ".")
	if from == "cairn/session" && (thirdParty || within(to, "cairn")) {
		broken = append(broken, "the vocabulary needs the standard library only")
	}
	if within(to, "github.com/cockroachdb/pebble/v2") && !within(from, "cairn/engine") && to != "github.com/cockroachdb/pebble/v2/vfs" {
		broken = append(broken, "only the engine knows Pebble")
	}
	if to == "github.com/cockroachdb/pebble/v2/vfs" && !within(from, "cairn/engine") && from != "cairn/log" && from != "cairn/durable" && !within(from, "cairn/cluster") {
		broken = append(broken, "Pebble's file system is for what keeps files")
	}
	if from == "cairn/log" && within(to, "cairn") && to != "cairn/figures" && to != "cairn/durable" {
		broken = append(broken, "the log does not know what is in its records")
	}
	if within(to, "cairn/engine") && (within(from, "cairn/memcachedfront") || within(from, "cairn/httpapi") || within(from, "cairn/serve")) {
		broken = append(broken, "fronts know stores, not the engine")
	}
	if from == "cairn/serve" && within(to, "cairn") && to != "cairn/session" && to != "cairn/origin" && to != "cairn/figures" && to != "cairn/memory" && to != "cairn/processors" {
		broken = append(broken, "sockets know no protocol")
	}
	if (from == "cairn/memcachedfront/protocol" || from == "cairn/resp") && (to == "net" || to == "os" || within(to, "cairn") && to != "cairn/session") {
		broken = append(broken, "a protocol is bytes and nothing else")
	}
	if within(to, "cairn/bench") && !within(from, "cairn/bench") && from != "cairn/cmd/cairn-bench" {
		broken = append(broken, "the server does not carry its benchmark")
	}
	return broken
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// Every page that a page links to is there.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}
