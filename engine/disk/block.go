package disk

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/disk/framing"
)

// leastChecked is the length in bytes from which on a checkedTable verifies what is
// read. Everything that Pebble reads of a local table at once and is as long is one
// block with its trailer; footers are shorter.
const leastChecked = 4 << 10

// checkedTable is a table that is open for reading. It verifies the checksum of each
// large block, and returns [pebble.ErrCorruption] if it is wrong.
//
// Pebble verifies it too, but looks for a flipped bit when it is wrong: it takes up to
// 327,680 checksums of the block, each time that the block is read. That is 0.2 s of a
// core for a block of 16 KiB, and minutes for one of 8 MiB. A second checksum of a
// block that is whole takes 1 us for 16 KiB.
type checkedTable struct {
	vfs.File
	name string
}

// openTable opens a table for reading.
func openTable(fs vfs.FS, path string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.Open(path, opts...)
	if err != nil {
		return nil, err
	}
	return checkedTable{f, fs.PathBase(path)}, nil
}

// ReadAt implements [io.ReaderAt].
func (t checkedTable) ReadAt(p []byte, offset int64) (int, error) {
	n, err := t.File.ReadAt(p, offset)
	if n < leastChecked || n < len(p) {
		return n, err
	}
	const sumBytes = 4
	sum := len(p) - sumBytes
	if framing.Checksum(p[:sum]) != binary.LittleEndian.Uint32(p[sum:]) {
		return n, fmt.Errorf("table %s: the block at byte %d (%d bytes) does not match its checksum: %w",
			t.name, offset, len(p), pebble.ErrCorruption)
	}
	return n, err
}
