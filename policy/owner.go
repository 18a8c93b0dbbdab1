package policy

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cairn/owner"
	"cairn/session"
)

const (
	// leastOwnerKey is the shortest secret that ids are hashed with, in bytes.
	leastOwnerKey = 16

	// hashedOwner is how many bytes of the hash are kept, in hexadecimal.
	hashedOwner = 16

	// mostPerOwner bounds max-per-owner.
	mostPerOwner = 10_000
)

// ownership takes over what f says about owners. Files that it names are looked for
// in dir.
func (r *Rule) ownership(f *fileRule, dir string) error {
	for _, text := range f.Owner {
		path, err := owner.ParsePath(text)
		if err != nil {
			return fmt.Errorf("owner: %w", err)
		}
		r.Owner = append(r.Owner, path)
	}
	switch {
	case len(r.Owner) == 0 && (f.OwnerHash != "" || f.MaxPerOwner != 0):
		return errors.New("owner-hash and max-per-owner need an owner")
	case f.MaxPerOwner < 0 || f.MaxPerOwner > mostPerOwner:
		return fmt.Errorf("max-per-owner must be 0 (no limit) to %d", mostPerOwner)
	}
	r.MaxPerOwner = f.MaxPerOwner
	if f.OwnerHash == "" {
		return nil
	}
	file := f.OwnerHash
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	secret, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("owner-hash: %w", err)
	}
	if r.ownerKey = bytes.TrimSpace(secret); len(r.ownerKey) < leastOwnerKey {
		return fmt.Errorf("owner-hash: %s holds %d bytes; a secret has at least %d", file, len(r.ownerKey), leastOwnerKey)
	}
	return nil
}

// HashesOwners reports whether the store gets hashes of the ids of owners.
func (r *Rule) HashesOwners() bool { return r.ownerKey != nil }

// FindOwner returns the id that the rule finds in the value of a session; nil: none.
func (r *Rule) FindOwner(value []byte, flags uint32) []byte {
	id, _ := owner.Find(value, flags, r.Owner)
	return id
}

// OwnerOf returns whose a session with that value is, in the form that the store
// keeps; nil: nobody's, as far as the rule can tell. It may be a part of value.
func (r *Rule) OwnerOf(value []byte, flags uint32) []byte {
	if id := r.FindOwner(value, flags); len(id) > 0 {
		return ownerForm(r.ownerKey, id)
	}
	return nil
}

// ownerForm is how the store keeps an id: hashed with the key if there is one; else as
// it is, if it is not too long, or hashed without one.
func ownerForm(key, id []byte) []byte {
	switch {
	case key != nil:
		h := hmac.New(sha256.New, key)
		h.Write(id)
		return hex.AppendEncode(nil, h.Sum(nil)[:hashedOwner])
	case len(id) > session.MaxOwnerLen:
		sum := sha256.Sum256(id)
		return hex.AppendEncode(nil, sum[:])
	}
	return id
}

// admitOwner gives a command that stores a session the owner that its value names.
func (r *Rule) admitOwner(c *session.Command) {
	c.Mods |= session.Tracked
	switch {
	case c.Op == session.OpSet, c.Op == session.OpAdd, c.Op == session.OpReplace,
		(c.Op == session.OpAppend || c.Op == session.OpPrepend) && c.Has(session.Vivify):
		c.Owner = r.OwnerOf(c.Value, c.Flags)
	}
}

// Owners reports whether any rule says whose sessions are.
func (s *Set) Owners() bool { return s != nil && s.owners }

// LimitsOwners reports whether any rule limits the sessions of an owner.
func (s *Set) LimitsOwners() bool {
	return slices.ContainsFunc(s.Rules(), func(r *Rule) bool { return r.MaxPerOwner > 0 })
}

// Owner returns the rule that says whose the session with that key is; nil: none does.
func (s *Set) Owner(key []byte) *Rule {
	if !s.Owners() {
		return nil
	}
	if rule, kind := s.For(key); kind == Session && len(rule.Owner) > 0 {
		return rule
	}
	return nil
}

// OwnerForms returns what the store may keep an owner as who has that id, or that
// hash: the rules may hash it differently.
func (s *Set) OwnerForms(id []byte) (forms [][]byte) {
	add := func(form []byte) {
		if !slices.ContainsFunc(forms, func(f []byte) bool { return bytes.Equal(f, form) }) {
			forms = append(forms, form)
		}
	}
	add(ownerForm(nil, id))
	for _, r := range s.Rules() {
		if r.ownerKey != nil {
			add(ownerForm(r.ownerKey, id))
		}
	}
	return forms
}

// OwnersFingerprint changes whenever the rules may find other owners than before. It is
// "" if they find none.
func (s *Set) OwnersFingerprint() string {
	if !s.Owners() {
		return ""
	}
	h := sha256.New()
	for _, r := range s.Rules() {
		fmt.Fprintf(h, "%q %q", r.Name, r.Owner)
		if r.ownerKey != nil {
			fmt.Fprintf(h, " %x", ownerForm(r.ownerKey, nil))
		}
		for i := range r.matchers {
			fmt.Fprintf(h, " %d %q", r.matchers[i].kind, r.matchers[i].String())
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Namespace reports whether text is what a rule's keys of sessions begin with.
func (s *Set) Namespace(text []byte) bool {
	for _, r := range s.Rules() {
		for i := range r.matchers {
			m := &r.matchers[i]
			if m.kind != Session || len(m.literal) == 0 {
				continue
			}
			if m.anywhere && bytes.HasSuffix(text, m.literal) || bytes.Equal(text, m.literal) {
				return true
			}
		}
	}
	return false
}
