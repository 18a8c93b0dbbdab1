package policy

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Presets is the text of the rules that come with Cairn, in the form of a file
// of rules.
//
//go:embed presets.yaml
var Presets []byte

// allPresets returns the rules that Presets is the text of.
var allPresets = sync.OnceValue(func() []*Rule {
	rules, err := parse(Presets, "")
	if err != nil {
		panic(err) // a test reads it
	}
	return rules
})

// PresetNames lists the names of the presets.
func PresetNames() (names []string) {
	for _, r := range allPresets() {
		names = append(names, r.Name)
	}
	return names
}

// presets returns the presets with the given names, in the order of the file.
func presets(names []string) (chosen []*Rule, err error) {
	known := PresetNames()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no preset %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	for _, r := range allPresets() {
		if slices.Contains(names, r.Name) {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}
