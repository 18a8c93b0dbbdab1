package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cairn/session"
)

// phpPrefix is what PHP's own session handler puts before the id in a file's
// name.
const phpPrefix = "sess_"

// PHPFiles emits the sessions in the files of PHP's own session handler, in dir
// and the folders below it (session.save_path with a depth). The key of a
// session is prefix and its id; it ends ttl after the file was written last,
// and one that has ended by now is counted as gone.
func PHPFiles(ctx context.Context, dir, prefix string, ttl time.Duration, o Options, emit Emit) (summary Summary, err error) {
	now := time.Now()
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		id, ok := strings.CutPrefix(filepath.Base(path), phpPrefix)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !ok || !entry.Type().IsRegular():
			return nil
		}
		r, err := readPHPFile(path, now, ttl)
		switch key := []byte(prefix + id); {
		case errors.Is(err, os.ErrNotExist) || err == nil && r == nil:
			summary.Gone++
		case err != nil:
			return err
		case !session.ValidKey(key):
			summary.skip(&o, key, fmt.Sprintf("a key has 1 to %d bytes", session.MaxKeyLen))
		default:
			r.Key = key
			return emit(0, r)
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("session files: %w", err)
	}
	return summary, err
}

// readPHPFile returns the session in a file, without its key; nil if it has
// ended.
func readPHPFile(path string, now time.Time, ttl time.Duration) (*Record, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	expires := info.ModTime().Add(ttl)
	if !expires.After(now) {
		return nil, nil
	}
	value, err := os.ReadFile(path)
	return &Record{Value: value, Expires: expires}, err
}
