package disk

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// VerifyLogs reads every record of every log of the store in dir and calls report with the
// number of each log that cannot be read whole. The last log may end in the
// middle of a record, which is what a crash leaves behind. The error says why
// the logs cannot be listed.
func VerifyLogs(fs vfs.FS, dir string, report func(log string, err error)) error {
	logs, err := findLogs(fs, dir)
	if err != nil {
		return err
	}
	for i, log := range logs {
		if err := readLog(log); err != nil && !(i == len(logs)-1 && tornTail(err)) {
			report(log.Num.String(), err)
		}
	}
	return nil
}

// tornTail reports whether err says that a log ends in the middle of what was
// being written, without damage to what had been synced.
func tornTail(err error) bool { return errors.Is(err, record.ErrUnexpectedEOF) }

func readLog(log wal.LogicalLog) (err error) {
	r := log.OpenForRead()
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		rec, _, err := r.NextRecord()
		if err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// VerifyTable verifies the checksums of all blocks of the table at path.
func VerifyTable(fs vfs.FS, path string, o *pebble.Options) (err error) {
	r, err := readTable(fs, path, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return r.ValidateBlockChecksums()
}
