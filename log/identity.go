package log

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
)

// identity is the file LOG of a directory: whose segments these are, and where
// else there may be some. It is text, so that an operator can read it.
type identity struct {
	id       uint64
	failover string // the failover directory; "" if there was none
}

const (
	identityName  = "LOG"
	identityForm  = "cairn commit log\nformat %d\nid %016x\nfailover %q\n"
	identityCheck = "checksum %08x\n"
)

func (i identity) encode() string {
	text := fmt.Sprintf(identityForm, formatVersion, i.id, i.failover)
	return text + fmt.Sprintf(identityCheck, crc32.Checksum([]byte(text), castagnoli))
}

// decodeIdentity reads what encode has written.
func decodeIdentity(text string) (i identity, err error) {
	var version int
	if _, err := fmt.Sscanf(text, "cairn commit log\nformat %d\n", &version); err == nil && version > formatVersion {
		return i, fmt.Errorf("a newer version has written it (format %d)", version)
	}
	if _, err := fmt.Sscanf(text, identityForm, &version, &i.id, &i.failover); err != nil || i.encode() != text {
		return i, errors.New("it is damaged")
	}
	return i, nil
}

// readIdentity reads the LOG of dir; ok is false if there is none.
func readIdentity(fs vfs.FS, dir string) (i identity, ok bool, err error) {
	path := fs.PathJoin(dir, identityName)
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return i, false, nil
	}
	if err != nil {
		return i, false, err
	}
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err = errors.Join(err, f.Close()); err != nil {
		return i, false, err
	}
	i, err = decodeIdentity(string(text))
	if err != nil {
		return i, false, &FormatError{path, err.Error()}
	}
	return i, true, nil
}

// writeIdentity replaces the LOG of dir, durably.
func writeIdentity(fs vfs.FS, dir string, i identity) error {
	if err := durable.SyncAncestors(fs, dir); err != nil { // the directory may be new
		return err
	}
	return durable.Replace(fs, fs.PathJoin(dir, identityName), writeCategory, []byte(i.encode()))
}

func newID() uint64 { return rand.Uint64() }
