package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/disk/framing"
)

// catalog is what the manifest of a data directory, and its names, tell of its
// tables. It is read without Pebble, which refuses a damaged one.
type catalog struct {
	tables []table
	minLog uint64 // logs of lower numbers are in tables

	// known says that tables are those of the store: nothing of the manifest is
	// missing. Otherwise they are what stands in the directory, without levels
	// and bounds, less those that the manifest has dropped.
	known bool

	strays bool // there are tables that were not part of the store yet
}

// table is a table of the store. Bounds are those of a range of keys, both
// inclusive; nil: unknown.
type table struct {
	number, file      uint64 // file is another number if the table is a part of a file
	level             int    // 0 is the newest; unknownLevel: not known
	smallest, largest []byte
	highest           uint64 // sequence number in it
	stray             bool   // it was written, but not part of the store yet
}

const unknownLevel = -1

// logLevel is the level of what stands in logs, which is newer than any table.
const logLevel = -2

func (t *table) name() string { return fmt.Sprintf("%06d.sst", t.file) }

// readCatalog reads what there is. Problems are reported.
func readCatalog(fs vfs.FS, dir string, report func(string)) (*catalog, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	present := make(map[uint64]bool)
	for _, name := range names {
		if number, ok := numbered(name, ".sst"); ok {
			present[number] = true
		}
	}
	m := &manifest{live: make(map[placed]table), mentioned: make(map[uint64]bool)}
	whole := m.read(fs, dir, names, report)
	c := &catalog{minLog: m.minLog, known: whole}
	live, lacking := m.tables(), false
	needed := make(map[uint64]bool)
	for _, t := range live {
		needed[t.file] = true
		lacking = lacking || !present[t.file]
	}
	var strays []uint64 // of which the manifest says nothing
	for number := range present {
		if !m.mentioned[number] && !needed[number] {
			strays = append(strays, number)
		}
	}
	if c.known && m.torn && lacking && len(strays) > 0 {
		report("the manifest is older than the tables: its end is missing")
		c.known = false
	}
	if c.known {
		c.tables = live
	} else {
		for number := range present {
			if needed[number] || !m.mentioned[number] {
				c.tables = append(c.tables, table{number: number, file: number, level: unknownLevel})
			}
		}
		return c, nil
	}
	// What was written but not yet in the manifest when the store was killed holds
	// the same as what is, or what the logs hold.
	c.strays = len(strays) > 0
	for _, number := range strays {
		c.tables = append(c.tables, table{number: number, file: number, level: unknownLevel, stray: true})
	}
	return c, nil
}

// numbered takes the number out of the name of a file.
func numbered(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}

// placed is a table in a level.
type placed struct {
	level  uint64
	number uint64
}

// manifest is the sum of the edits of a manifest.
type manifest struct {
	live      map[placed]table
	mentioned map[uint64]bool // tables that were part of the store once
	minLog    uint64
	torn      bool // its end is missing
}

func (m *manifest) tables() (list []table) {
	for _, t := range m.live {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b table) int { return int(a.number) - int(b.number) })
	return list
}

// read reads the newest manifest among names, and reports whether nothing of it is
// missing as far as that can be seen.
func (m *manifest) read(fs vfs.FS, dir string, names []string, report func(string)) bool {
	name := currentManifest(names)
	if name == "" {
		report("there is no manifest")
		return false
	}
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		report(fmt.Sprintf("%s: %v", name, err))
		return false
	}
	defer f.Close()
	records, bad := 0, false
	state, err := framing.ManifestRecords(f, func(record []byte, lost bool) error {
		records++
		return m.apply(record)
	})
	m.torn = state == framing.Torn
	switch {
	case err != nil:
		report(fmt.Sprintf("%s: %v", name, err))
		bad = true
	case state == framing.Damaged:
		report(name + ": damaged")
		bad = true
	case records == 0:
		report(name + ": empty")
		bad = true
	}
	return !bad
}

// currentManifest picks the manifest that the store used: the one that the marker
// names, or else the last.
func currentManifest(names []string) (current string) {
	last, marked, iteration := "", "", ""
	for _, name := range names {
		if number, ok := strings.CutPrefix(name, "MANIFEST-"); ok && (len(number) > len(last) || len(number) == len(last) && number > last) {
			last = number
		}
		if rest, ok := strings.CutPrefix(name, "marker.manifest."); ok && rest > iteration {
			iteration = rest
			_, marked, _ = strings.Cut(rest, ".")
		}
	}
	if marked != "" && slices.Contains(names, marked) {
		return marked
	}
	if last == "" {
		return ""
	}
	return "MANIFEST-" + last
}

// Tags of the fields of an edit: https://github.com/cockroachdb/pebble/blob/master/internal/manifest/version_edit.go
const (
	tagComparer       = 1
	tagLogNumber      = 2
	tagNextFile       = 3
	tagLastSequence   = 4
	tagCompactPointer = 5
	tagDeletedTable   = 6
	tagPreviousLog    = 9
	tagNewTable2      = 100
	tagNewTable4      = 103
	tagNewTable5      = 104 // with range keys
	tagCreatedBacking = 105
	tagRemovedBacking = 106

	customEnd        = 1
	customUnsafe     = 1 << 6 // from here on a tag must be known
	customVirtual    = 66
	sequenceKindBits = 8 // of the trailer of a key, 8 bytes
)

var errEdit = errors.New("an edit of a kind that is not known")

// apply reads an edit. Nothing of it counts if it cannot be read.
func (m *manifest) apply(record []byte) error {
	r := editReader{rest: record}
	var added []table
	var dropped []placed
	minLog := m.minLog
	for len(r.rest) > 0 && r.err == nil {
		switch tag := r.number(); tag {
		case tagComparer:
			r.bytes()
		case tagLogNumber:
			minLog = r.number()
		case tagNextFile, tagLastSequence, tagPreviousLog, tagRemovedBacking:
			r.number()
		case tagCreatedBacking:
			r.number()
			r.number()
		case tagCompactPointer:
			r.number()
			r.bytes()
		case tagDeletedTable:
			dropped = append(dropped, placed{r.number(), r.number()})
		case tagNewTable2, tagNewTable4, tagNewTable5:
			added = append(added, r.table(tag))
		default:
			return fmt.Errorf("%w: field %d", errEdit, tag)
		}
	}
	if r.err != nil {
		return r.err
	}
	for _, p := range dropped {
		delete(m.live, p)
	}
	for _, t := range added {
		m.live[placed{uint64(t.level), t.number}] = t
		m.mentioned[t.number], m.mentioned[t.file] = true, true
	}
	m.minLog = minLog
	return nil
}

// editReader reads the fields of an edit.
type editReader struct {
	rest []byte
	err  error
}

func (r *editReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *editReader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// userKey reads a key with a trailer.
func (r *editReader) userKey() []byte {
	b := r.bytes()
	if len(b) < sequenceKindBits {
		r.fail()
		return nil
	}
	return bytes.Clone(b[:len(b)-sequenceKindBits])
}

func (r *editReader) fail() { r.rest, r.err = nil, fmt.Errorf("%w: cut short", errEdit) }

func (r *editReader) table(tag uint64) (t table) {
	t.level, t.number = int(r.number()), r.number()
	t.file = t.number
	r.number() // size
	if tag == tagNewTable5 {
		r.err = fmt.Errorf("%w: a table with range keys", errEdit)
		return t
	}
	t.smallest, t.largest = r.userKey(), r.userKey()
	r.number() // lowest sequence number
	t.highest = r.number()
	if tag == tagNewTable2 {
		return t
	}
	for r.err == nil {
		switch custom := r.number(); {
		case custom == customEnd:
			return t
		case custom == customVirtual:
			t.file = r.number()
		case custom >= customUnsafe:
			r.err = fmt.Errorf("%w: property %d of a table", errEdit, custom)
		default:
			r.bytes()
		}
	}
	return t
}

// base is the name of a file for messages.
func base(path string) string { return filepath.Base(path) }
