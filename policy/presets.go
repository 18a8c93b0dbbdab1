package policy

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Presets is the text of the rules that come with Cairn, in the form of a file
// of rules.
//
//go:embed presets.yaml
var Presets []byte

// PresetNames lists the names of the presets.
func PresetNames() (names []string) {
	rules, err := parse(Presets)
	if err != nil {
		panic(err) // a test reads it
	}
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return names
}

// presets returns the presets with the given names, in the order of the file.
func presets(names []string) (chosen []*Rule, err error) {
	all, err := parse(Presets)
	if err != nil {
		return nil, err
	}
	known := PresetNames()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no preset %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	for _, r := range all {
		if slices.Contains(names, r.Name) {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}
