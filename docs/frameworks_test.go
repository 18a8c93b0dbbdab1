package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cairn/policy"
)

var frameworkRule = regexp.MustCompile("(?s)<!-- rule: (\\S+) \\| (\\S+) \\| (\\S+) \\| (\\S+) -->\n```yaml\n(.*?)```")

// TestFrameworkRules reads each rule of frameworks.md, and lets it find the user in a
// session that the framework's own libraries wrote.
func TestFrameworkRules(t *testing.T) {
	page, err := os.ReadFile("frameworks.md")
	if err != nil {
		t.Fatal(err)
	}
	found := frameworkRule.FindAllStringSubmatch(string(page), -1)
	if blocks := strings.Count(string(page), "```yaml"); len(found) != blocks || blocks != 8 {
		t.Fatalf("%d of %d rules name a session to try them on", len(found), blocks)
	}
	presets := policy.PresetNames()
	for _, m := range found {
		name, key, golden, owner, text := m[1], m[2], m[3], m[4], m[5]
		file := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := policy.Load(presets, file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		value, err := os.ReadFile(goldenSession(golden))
		if err != nil {
			t.Fatal(err)
		}
		rule, kind := set.For([]byte(key))
		if rule == nil || rule.Name != name || kind != policy.Session {
			t.Errorf("%s: %q is not a session of this rule", name, key)
			continue
		}
		if id := rule.FindOwner(value, 0); string(id) != owner {
			t.Errorf("%s: the owner of %s is %q, want %q", name, golden, id, owner)
		}
		if rule.Fence == policy.FenceOff || rule.MaxTTL == 0 || rule.Absolute < rule.MaxTTL {
			t.Errorf("%s: fence %v, max-ttl %v, absolute %v", name, rule.Fence, rule.MaxTTL, rule.Absolute)
		}
	}
}

// goldenSession is where a session is that real libraries wrote.
func goldenSession(name string) string {
	for _, folder := range []string{"../owner/testdata", "../decode/testdata"} {
		if path := filepath.Join(folder, name); exists(path) {
			return path
		}
	}
	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

var (
	namedTest  = regexp.MustCompile("`(Test\\w+)` \\(`([\\w/]+)`\\)")
	anyTest    = regexp.MustCompile("`Test\\w+`")
	asvsNumber = regexp.MustCompile(`\b7\.\d\.\d\b`)
)

// provenCells is how many cells a row has that says what proves a setting, with those
// before its first and behind its last bar.
const provenCells = 6

// TestASVS checks that asvs.md has every requirement of the chapter once, that a test
// is named for each setting, and that the tests it names exist.
func TestASVS(t *testing.T) {
	page, err := os.ReadFile("asvs.md")
	if err != nil {
		t.Fatal(err)
	}
	named := namedTest.FindAllStringSubmatch(string(page), -1)
	if len(named) < 10 || len(named) != len(anyTest.FindAllString(string(page), -1)) {
		t.Fatalf("%d tests are named with their folders", len(named))
	}
	for _, m := range named {
		if !hasTest(t, m[2], m[1]) {
			t.Errorf("there is no %s in %s", m[1], m[2])
		}
	}
	rows := map[string]int{}
	for _, line := range strings.Split(string(page), "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, number := range asvsNumber.FindAllString(cells[1], -1) {
				rows[number]++
				if len(cells) == provenCells && !anyTest.MatchString(cells[4]) {
					t.Errorf("no test proves %s", number)
				}
			}
		}
	}
	sections := map[string]int{"7.1.": 3, "7.2.": 4, "7.3.": 2, "7.4.": 5, "7.5.": 3, "7.6.": 2}
	for section, n := range sections {
		for i := range n {
			number := section + string(rune('1'+i))
			if rows[number] != 1 {
				t.Errorf("%s is there %d times", number, rows[number])
			}
		}
	}
	if len(rows) != 19 {
		t.Errorf("the page has %d requirements", len(rows))
	}
}

// hasTest reports whether a folder has a test of that name.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
