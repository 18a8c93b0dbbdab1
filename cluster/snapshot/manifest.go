// Package snapshot brings the engine of a group to another node: a checkpoint, file
// by file, over any connection. A transfer that was interrupted goes on where it
// was. What has come is put in the place of the engine's directory in one step that
// a crash does not tear. DESIGN.md says how.
package snapshot

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/zeebo/xxh3"
)

// Manifest says what a snapshot is.
type Manifest struct {
	// Index and Term are of the last entry of the group's log whose effect is in it.
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`

	// Conf is the configuration at Index, in the form that the cluster gives it.
	Conf []byte `json:"conf,omitempty"`

	Files []File `json:"files"`
}

// File is a file of a snapshot.
type File struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
	Sum  Sum    `json:"sum"`  // of its content; zero in an offer
}

// Bytes returns the size of all files.
func (m Manifest) Bytes() (sum int64) {
	for _, f := range m.Files {
		sum += f.Size
	}
	return sum
}

// Sum is a checksum: XXH3 of 128 bits. It guards against damage, not against
// attackers; those are kept off by the connection.
type Sum [16]byte

// MarshalText implements encoding.TextMarshaler.
func (s Sum) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Sum) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(s) {
		return errManifest
	}
	copy(s[:], b)
	return nil
}

func sumOf(h *xxh3.Hasher) Sum { return h.Sum128().Bytes() }

// Errors of a transfer.
var (
	// ErrDamaged: something else has come than was sent. What had come before is
	// kept; another transfer goes on from there.
	ErrDamaged = errors.New("snapshot: what was received is damaged")

	// ErrNoSpace: the disk has no room for the snapshot.
	ErrNoSpace = errors.New("snapshot: no disk space for it")

	// ErrInstalling: a snapshot is complete and being installed; see Recover.
	ErrInstalling = errors.New("snapshot: another one is being installed")

	errManifest = errors.New("snapshot: not a manifest")
)

const (
	maxFiles = 1 << 20
	maxName  = 255
)

// parseManifest reads a manifest, and checks that its files can be files of one
// directory.
func parseManifest(text []byte) (*Manifest, error) {
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errManifest, err)
	}
	if len(m.Files) > maxFiles {
		return nil, fmt.Errorf("%w: %d files", errManifest, len(m.Files))
	}
	names := map[string]bool{}
	total := int64(0)
	for _, f := range m.Files {
		if total += f.Size; f.Size < 0 || total < 0 || !validName(f.Name) || names[f.Name] {
			return nil, fmt.Errorf("%w: file %q of %d bytes", errManifest, f.Name, f.Size)
		}
		names[f.Name] = true
	}
	return m, nil
}

// validName reports whether a file may have this name: in the directory itself, and
// none of this package's own.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00") &&
		!isOwn(name)
}

func (m Manifest) text() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, numbers and bytes
	}
	return text
}
