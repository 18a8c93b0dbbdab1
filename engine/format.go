package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
	"cairn/session"
)

// formatFile says what a data directory holds: that it is a store of Cairn, and
// which features are in use that not every version knows. It is one line, "cairn
// 1" as long as there are none, else
//
//	cairn 2 NAME:VERSION NAME:VERSION...
//
// with the lowest version of Cairn that knows the feature of that name. Versions
// before features know "cairn 1" only, and show the line when they refuse.
const (
	formatFile   = "FORMAT"
	formatName   = "cairn"
	plainFormat  = formatName + " 1\n"
	formatPrefix = formatName + " 2 "

	// maxFormat bounds the length of the file in bytes.
	maxFormat = 4096
)

// ErrFormat is the error of Open and Check when the data directory holds what
// this version cannot read.
var ErrFormat = errors.New("unknown format of the data directory")

// features are bits for what a store may hold that not every version can read.
type features uint32

const (
	// extendedRecords: there are records of kind 0x02.
	extendedRecords features = 1 << 0

	// followedLog: the ledger may hold a position in a log.
	followedLog features = 1 << 1

	// ownerIndex: items with an owner have an entry in the space of owners.
	ownerIndex features = 1 << 2
)

// featureTable is in the order of the bits. Names and versions are in the files
// of stores.
var featureTable = []struct{ name, since string }{
	{"extended-records", "0.1.0"},
	{"followed-log", "0.1.0"},
	{"owner-index", "0.1.0"},
}

// String returns the line of the format file.
func (f features) String() string {
	if f == 0 {
		return plainFormat
	}
	var words []string
	for i, feature := range featureTable {
		if f&(1<<i) != 0 {
			words = append(words, feature.name+":"+feature.since)
		}
	}
	return formatPrefix + strings.Join(words, " ") + "\n"
}

// parseFormat reads a format file. The error wraps ErrFormat and says what can
// read the store.
func parseFormat(line string) (f features, err error) {
	if line == plainFormat {
		return 0, nil
	}
	list, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), formatPrefix)
	switch {
	case ok && strings.HasSuffix(line, "\n"):
	case strings.HasPrefix(line, formatName+" "):
		return 0, fmt.Errorf("%w: it is %q, which this version does not know: use the version that wrote it, or a later one",
			ErrFormat, strings.TrimSpace(line))
	default:
		return 0, fmt.Errorf("%w: its %s was not written by Cairn", ErrFormat, formatFile)
	}
	var unknown []string
	for _, word := range strings.Split(list, " ") {
		name, since, _ := strings.Cut(word, ":")
		if bit := featureOf(name); bit != 0 {
			f |= bit
		} else {
			unknown = append(unknown, fmt.Sprintf("%q, which Cairn knows from version %q on", name, since))
		}
	}
	if len(unknown) > 0 {
		return 0, fmt.Errorf("%w: it uses %s; this version does not know it", ErrFormat, strings.Join(unknown, " and "))
	}
	return f, nil
}

// featureOf returns the bit of the feature of that name; 0: there is none.
func featureOf(name string) features {
	for i, feature := range featureTable {
		if feature.name == name {
			return 1 << i
		}
	}
	return 0
}

// checkFormat makes sure that dir holds a store of a format that this version
// knows, or nothing at all; then it writes the format down.
func checkFormat(fs vfs.FS, dir string) (features, error) {
	f, err := readFormat(fs, dir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, writeFormat(fs, dir)
	}
	return f, err
}

func readFormat(fs vfs.FS, dir string) (features, error) {
	f, err := fs.Open(fs.PathJoin(dir, formatFile))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFormat))
	if err != nil {
		return 0, err
	}
	return parseFormat(string(content))
}

// writeFormat makes the format file durable before anything else is written.
func writeFormat(fs vfs.FS, dir string) error {
	if err := checkEmpty(fs, dir); err != nil {
		return err
	}
	return putFirstFormat(fs, dir, 0)
}

// putFirstFormat is putFormat for a directory that may be new. A start that finds the file
// takes the names that lead to it for durable.
func putFirstFormat(fs vfs.FS, dir string, features features) error {
	if err := durable.SyncAncestors(fs, dir); err != nil {
		return err
	}
	return putFormat(fs, dir, features)
}

// putFormat writes the format file. It appears whole or not at all, and is
// durable when putFormat returns.
func putFormat(fs vfs.FS, dir string, features features) error {
	return durable.Replace(fs, fs.PathJoin(dir, formatFile), vfs.WriteCategoryUnspecified, []byte(features.String()))
}

// inUse are the features that the format file of an open store names.
type inUse struct {
	mu   sync.Mutex // held to write the file
	bits atomic.Uint32
}

func (u *inUse) load() features { return features(u.bits.Load()) }

// need makes sure that the format file names the features, before the first of
// what they are about is written. On an error nothing of it may be.
func (s *Store) need(wanted features) error {
	if s.files.features.load()&wanted == wanted {
		return nil
	}
	s.files.features.mu.Lock()
	defer s.files.features.mu.Unlock()
	all := s.files.features.load() | wanted
	if err := putFormat(s.options.FS, s.options.Dir, all); err != nil {
		if durable.Passing(err) {
			err = fmt.Errorf("%w: %w", session.ErrNoSpace, err)
		}
		return fmt.Errorf("engine: record in %s what the store uses from now on: %w", formatFile, err)
	}
	s.files.features.bits.Store(uint32(all))
	return nil
}

// ErrRestoring is the error of Open and Check when a restore is filling the
// data directory, or was killed while it did.
var ErrRestoring = errors.New("a restore into the data directory is under way or was cut short; run it again, or empty the directory")

// restoringDir holds what a restore has not moved into place (package backup).
const restoringDir = "restoring"

// checkEmpty refuses a directory that holds a database without a format, or an
// unfinished restore.
func checkEmpty(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, restoringDir) {
		return ErrRestoring
	}
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker.") || name == "CURRENT" {
			return fmt.Errorf("%w: it holds a database (%s) that is not a Cairn store", ErrFormat, name)
		}
	}
	return nil
}
