package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"cairn/session"
)

// document is a file of rules.
type document struct {
	Rules []fileRule `yaml:"rules"`
}

// fileRule is a rule as a file has it.
type fileRule struct {
	Name       string   `yaml:"name"`
	Prefix     texts    `yaml:"prefix"`
	Shape      string   `yaml:"shape"`
	Locks      texts    `yaml:"locks"`
	Companions texts    `yaml:"companions"`
	MaxTTL     duration `yaml:"max-ttl"`
	Absolute   duration `yaml:"absolute"`
	LockTTL    duration `yaml:"lock-max-ttl"`

	Volatile    bool     `yaml:"volatile"`
	Park        duration `yaml:"park"`
	FreeOnClose bool     `yaml:"free-on-close"`

	Fence       string   `yaml:"fence"`
	FenceFor    duration `yaml:"fence-for"`
	FenceAnswer string   `yaml:"fence-answer"`
	FenceMiss   string   `yaml:"fence-miss"`

	Owner       texts  `yaml:"owner"`
	OwnerHash   string `yaml:"owner-hash"`
	MaxPerOwner int    `yaml:"max-per-owner"`
}

// texts is a list that may be written as a single element.
type texts []string

func (t *texts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*t = texts{node.Value}
		return nil
	}
	return node.Decode((*[]string)(t))
}

type duration time.Duration

func (d *duration) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := session.ParseDuration(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q %w", node.Line, node.Value, err)
	}
	*d = duration(parsed)
	return nil
}

// Load makes a set of the presets with the given names and of the rules in a
// file ("": none). A rule in the file replaces a preset of its name.
func Load(names []string, file string) (*Set, error) {
	rules, err := presets(names)
	if err != nil {
		return nil, err
	}
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		own, err := parse(content, filepath.Dir(file))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rules = merge(rules, own)
	}
	return newSet(rules), nil
}

// merge appends own rules to those that none of them replaces.
func merge(rules, own []*Rule) (merged []*Rule) {
	replaced := map[string]bool{}
	for _, r := range own {
		replaced[r.Name] = true
	}
	for _, r := range rules {
		if !replaced[r.Name] {
			merged = append(merged, r)
		}
	}
	return append(merged, own...)
}

// parse reads the rules of a file, which is in dir. A member that it does not know is
// an error: what was meant to protect must not be passed over.
func parse(content []byte, dir string) ([]*Rule, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	var d document
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var rules []*Rule
	seen := map[string]bool{}
	for i := range d.Rules {
		r, err := d.Rules[i].rule(dir)
		if err == nil && seen[r.Name] {
			err = errors.New("appears twice")
		}
		if err != nil {
			return nil, fmt.Errorf("rule %d (%s): %w", i+1, d.Rules[i].Name, err)
		}
		seen[r.Name] = true
		rules = append(rules, r)
	}
	return rules, nil
}

// rule checks f, which is from a file in dir, and makes a rule of it.
func (f *fileRule) rule(dir string) (*Rule, error) {
	r := &Rule{
		Name: f.Name, MaxTTL: time.Duration(f.MaxTTL), Absolute: time.Duration(f.Absolute), LockTTL: time.Duration(f.LockTTL),
	}
	if r.LockTTL == 0 {
		r.LockTTL = lockTTL
	}
	s, err := parseShape(f.Shape)
	if err == nil {
		err = errors.Join(r.fence(f), r.lock(f), r.ownership(f, dir))
	}
	switch {
	case err != nil:
		return nil, err
	case f.Name == "":
		return nil, errors.New("needs a name")
	case len(f.Prefix) == 0 && s.class == nil && len(f.Locks) > 0: // locks of their own
	case len(f.Prefix) == 0 && s.class == nil:
		return nil, errors.New("needs a prefix, a shape or locks: it would match every key")
	case len(f.Prefix) == 0:
		f.Prefix = texts{""}
	}
	r.match(f.Prefix, s, Session)
	r.match(f.Companions, s, Companion)
	r.match(f.Locks, shape{}, Lock)
	for i := range r.matchers {
		if m := &r.matchers[i]; len(m.literal) == 0 && m.shape.class == nil {
			return nil, errors.New("an empty prefix needs a shape: it would match every key")
		}
	}
	return r, nil
}

// match adds matchers of one kind.
func (r *Rule) match(prefixes []string, s shape, kind Kind) {
	for _, prefix := range prefixes {
		r.matchers = append(r.matchers, newMatcher(prefix, s, kind, r))
	}
}
