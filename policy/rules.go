package policy

import (
	"sync/atomic"

	"cairn/session"
)

// Rules are the rules in force. They can be read again while they are used; safe
// for concurrent use.
type Rules struct {
	presets []string
	file    string
	set     atomic.Pointer[Set]
}

// Open loads the presets with the given names and the rules in a file ("": none).
func Open(presets []string, file string) (*Rules, error) {
	r := &Rules{presets: presets, file: file}
	return r, r.Reload()
}

// Reload reads the file again. After an error the rules are as they were.
func (r *Rules) Reload() error {
	set, err := Load(r.presets, r.file)
	if err == nil {
		r.set.Store(set)
	}
	return err
}

// Set returns the rules as they are now.
func (r *Rules) Set() *Set { return r.set.Load() }

// Admit applies the rules to the commands of a burst that is about to reach the
// store.
func (r *Rules) Admit(b *session.Burst) {
	set := r.set.Load()
	if set.Empty() {
		return
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		if !c.Writes() {
			continue
		}
		if rule, kind := set.For(c.Key); rule != nil {
			rule.Admit(c, kind, b.Now)
		}
	}
}
