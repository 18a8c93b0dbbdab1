package record

import (
	"encoding/binary"
	"fmt"

	"cairn/session"
)

// Patch changes some of a record's header without rewriting its body. It is
// merged into the record that stands under the same key. Layout: kind, mask,
// bits, then expiry and version, 8 bytes each, little endian, if the mask has
// them.
type Patch struct {
	mask    byte
	bits    byte
	expiry  session.Time
	version uint64
}

// SetExpiry, SetVersion, SetStale and SetClaimed make the patch change one
// field.
func (p *Patch) SetExpiry(t session.Time) { p.mask |= bitExpiry; p.expiry = t }
func (p *Patch) SetVersion(v uint64)      { p.mask |= bitVersion; p.version = v }
func (p *Patch) SetStale(on bool)         { p.mask |= bitStale; p.bits |= bits(on, false) }
func (p *Patch) SetClaimed(on bool)       { p.mask |= bitClaimed; p.bits |= bits(false, on) }

// MaxPatchLen is the most bytes that Append appends.
const MaxPatchLen = 3 + 8 + 8

// Append appends the patch to dst.
func (p *Patch) Append(dst []byte) []byte {
	dst = append(dst, kindPatch, p.mask, p.bits)
	if p.mask&bitExpiry != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.expiry))
	}
	if p.mask&bitVersion != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, p.version)
	}
	return dst
}

var errPatch = fmt.Errorf("%w: patch", ErrCorrupt)

func isPatch(value []byte) bool { return len(value) > 0 && value[0] == kindPatch }

func decodePatch(value []byte) (p Patch, err error) {
	if len(value) < 3 {
		return p, errPatch
	}
	p.mask, p.bits = value[1], value[2]
	rest := value[3:]
	if p.mask&bitExpiry != 0 {
		if len(rest) < 8 {
			return p, errPatch
		}
		p.expiry, rest = session.Time(binary.LittleEndian.Uint64(rest)), rest[8:]
	}
	if p.mask&bitVersion != 0 {
		if len(rest) < 8 {
			return p, errPatch
		}
		p.version, rest = binary.LittleEndian.Uint64(rest), rest[8:]
	}
	if len(rest) != 0 || p.mask&^(bitStale|bitClaimed|bitExpiry|bitVersion) != 0 || p.bits&^p.mask != 0 {
		return p, errPatch
	}
	return p, nil
}

// over returns the one patch that does what older and then p do.
func (p Patch) over(older Patch) Patch {
	if p.mask&bitExpiry == 0 {
		p.expiry = older.expiry
	}
	if p.mask&bitVersion == 0 {
		p.version = older.version
	}
	p.bits |= older.bits &^ p.mask
	p.mask |= older.mask
	return p
}

// apply changes the header of a record in place.
func (p Patch) apply(record []byte) {
	const both = bitStale | bitClaimed
	record[2] = record[2]&^(p.mask&both) | p.bits&both
	if p.mask&bitVersion != 0 {
		binary.LittleEndian.PutUint64(record[8:], p.version)
	}
	if p.mask&bitExpiry != 0 {
		binary.LittleEndian.PutUint64(record[16:], uint64(p.expiry))
	}
}

// Merge folds the values written under one key, of which only the oldest may
// be a record, into one. It never makes a value disappear: patches whose
// record is gone stay a patch. The zero Merge is ready for use.
type Merge struct {
	record []byte // a copy; nil: none seen
	patch  Patch  // newer than record
}

// Newer adds a value that is newer than all before. It does not keep value.
func (m *Merge) Newer(value []byte) error {
	if !isPatch(value) {
		m.patch = Patch{}
		return m.base(value)
	}
	p, err := decodePatch(value)
	m.patch = p.over(m.patch)
	return err
}

// Older adds a value that is older than all before. It does not keep value.
func (m *Merge) Older(value []byte) error {
	if m.record != nil {
		return nil
	}
	if !isPatch(value) {
		return m.base(value)
	}
	p, err := decodePatch(value)
	m.patch = m.patch.over(p)
	return err
}

func (m *Merge) base(value []byte) error {
	if _, _, _, err := Decode(value); err != nil {
		return err
	}
	m.record = append(m.record[:0], value...)
	return nil
}

// Finish returns the merged value, which is the caller's.
func (m *Merge) Finish() []byte {
	if m.record == nil {
		return m.patch.Append(nil)
	}
	m.patch.apply(m.record)
	return m.record
}
