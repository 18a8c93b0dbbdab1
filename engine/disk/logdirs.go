package disk

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"cairn/durable"
)

// LogsFile says in the data directory which other directories may have logs of the
// store. There is no such file if there never was another.
const LogsFile = "LOGS"

// Pebble writes ProbeFile in the data directory to try its disk, and sourceFile in the
// other one to see whether it can.
const (
	ProbeFile  = "probe-file"
	sourceFile = "failover_source"
)

// storeFile says in such a directory whose logs are in it.
const storeFile = "STORE"

// logsVersion is the first line of both files.
const logsVersion = "cairn logs 1"

// logDirs is what LogsFile says. The file is text, a line each: its version, the store
// and each directory.
//
//	cairn logs 1
//	store MPKWKZ3PHXJWRYSBLVYIQSRVQ4
//	dir /mnt/second/cairn
//
// storeFile has the first two lines.
type logDirs struct {
	store string   // a random number that tells stores apart; "": there is no file
	dirs  []string // absolute paths
}

func (l *logDirs) append(text []byte) []byte {
	text = fmt.Appendf(text, "%s\nstore %s\n", logsVersion, l.store)
	for _, dir := range l.dirs {
		text = fmt.Appendf(text, "dir %s\n", dir)
	}
	return text
}

func parseLogDirs(text []byte) (l logDirs, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	if !lines.Scan() || lines.Text() != logsVersion {
		return l, errors.New("it is of a version that this program does not know, or damaged")
	}
	for lines.Scan() {
		switch what, value, _ := strings.Cut(lines.Text(), " "); {
		case what == "store" && l.store == "" && value != "":
			l.store = value
		case what == "dir" && value != "":
			l.dirs = append(l.dirs, value)
		default:
			return l, fmt.Errorf("line %q means nothing", lines.Text())
		}
	}
	if l.store == "" {
		return l, errors.New("it does not say which store it is of")
	}
	return l, lines.Err()
}

// readLogDirs reads the file at path. One that does not exist says nothing.
func readLogDirs(fs vfs.FS, path string) (l logDirs, err error) {
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(f)
	if err != nil {
		return l, err
	}
	if l, err = parseLogDirs(text); err != nil {
		return l, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// LogDirs returns where the logs of the store in dir may be: there, and in the
// directories to which they have failed over. All exist.
func LogDirs(fs vfs.FS, dir string) ([]wal.Dir, error) {
	known, err := knownLogDirs(fs, dir)
	if err != nil {
		return nil, err
	}
	found := []wal.Dir{{FS: fs, Dirname: dir}}
	for _, other := range known.dirs {
		found = append(found, wal.Dir{FS: fs, Dirname: other})
	}
	return found, nil
}

// knownLogDirs reads the LogsFile of dir. All directories in it exist.
func knownLogDirs(fs vfs.FS, dir string) (logDirs, error) {
	known, err := readLogDirs(fs, fs.PathJoin(dir, LogsFile))
	if err != nil {
		return logDirs{}, err
	}
	for _, other := range known.dirs {
		if _, err := logsIn(fs, other, known.store); err != nil {
			return logDirs{}, err
		}
	}
	return known, nil
}

// findLogs returns the logs of the store in dir, oldest first.
func findLogs(fs vfs.FS, dir string) (wal.Logs, error) {
	dirs, err := LogDirs(fs, dir)
	if err != nil {
		return nil, err
	}
	return wal.Scan(dirs...)
}

// logsIn returns how many files of logs are in dir, which is known to be for logs of the
// store. The mount point of a disk that is not mounted is not.
func logsIn(fs vfs.FS, dir, store string) (n int, err error) {
	mark, err := readLogDirs(fs, fs.PathJoin(dir, storeFile))
	if err != nil {
		return 0, err
	}
	if mark.store != store {
		return 0, fmt.Errorf("the failover directory %s is not there, or another one is, and the log may have been written to it: mount its disk, "+
			"or, if it is lost and with it what was acknowledged meanwhile, remove its line from %s", dir, LogsFile)
	}
	return countLogs(fs, dir)
}

// countLogs returns how many files of logs are in dir.
func countLogs(fs vfs.FS, dir string) (n int, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if _, isLog := logNumber(name); isLog {
			n++
		}
	}
	return n, nil
}

// RemoveOtherLogs removes what the store in dir, which nobody has open, has in other
// directories, and that it has. A directory that is not there is let be.
func RemoveOtherLogs(fs vfs.FS, dir string) error {
	path := fs.PathJoin(dir, LogsFile)
	known, err := readLogDirs(fs, path)
	if err != nil || known.store == "" {
		return err
	}
	for _, other := range known.dirs {
		if err := removeLogs(fs, other, known.store); err != nil {
			return err
		}
	}
	return fs.Remove(path)
}

func removeLogs(fs vfs.FS, dir, store string) error {
	mark, err := readLogDirs(fs, fs.PathJoin(dir, storeFile))
	if err != nil || mark.store != store {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, isLog := logNumber(name); isLog || name == sourceFile {
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	if err := durable.SyncDir(fs, dir); err != nil { // the mark goes last
		return err
	}
	return fs.Remove(fs.PathJoin(dir, storeFile))
}

// FindLogs finds out where logs may be. It is called before Configure.
func (d *Disk) FindLogs() (err error) {
	d.failover.dirs, err = knownLogDirs(d.options.FS, d.options.Dir)
	return err
}

// OpenFailover is FindLogs for who has locked the data directory and writes to it. It claims
// the directory for the log to fail over to, if there is to be one, and forgets those that
// were before and have no logs any more. CloseFailover undoes it.
func (d *Disk) OpenFailover() error {
	o := &d.options
	path := o.FS.PathJoin(o.Dir, LogsFile)
	known, err := readLogDirs(o.FS, path)
	if err != nil {
		return err
	}
	now, err := d.stillNeeded(known)
	if err != nil {
		return err
	}
	if o.FailoverDir != "" {
		if err := d.claimFailover(&now); err != nil {
			return fmt.Errorf("failover directory %s: %w", o.FailoverDir, err)
		}
	}
	d.failover.dirs = now
	if slices.Equal(known.dirs, now.dirs) {
		return nil
	}
	return durable.Replace(o.FS, path, "cairn-logs", now.append(nil))
}

// CloseFailover lets others use the directory.
func (d *Disk) CloseFailover() error {
	lock := d.failover.lock
	if lock == nil {
		return nil
	}
	d.failover.lock = nil
	return lock.Close()
}

// stillNeeded returns what is known without directories that have no logs, besides the
// one to fail over to.
func (d *Disk) stillNeeded(known logDirs) (now logDirs, err error) {
	now.store = known.store
	for _, dir := range known.dirs {
		n, err := logsIn(d.options.FS, dir, known.store)
		if err != nil {
			return now, err
		}
		if n > 0 || dir == d.options.FailoverDir {
			now.dirs = append(now.dirs, dir)
		} else if err := durable.SyncDir(d.options.FS, dir); err != nil { // what was removed does not come back
			return now, err
		}
	}
	return now, nil
}

// claimFailover locks the directory to fail over to and adds it, unless another store
// has its logs there.
func (d *Disk) claimFailover(now *logDirs) error {
	o := &d.options
	if err := o.FS.MkdirAll(o.FailoverDir, 0o700); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(o.FailoverDir, o.FS)
	if err != nil {
		return fmt.Errorf("it is in use by another process, or cannot be locked: %w", err)
	}
	d.failover.lock = lock
	path := o.FS.PathJoin(o.FailoverDir, storeFile)
	theirs, err := readLogDirs(o.FS, path)
	if err != nil {
		return err
	}
	logs, err := countLogs(o.FS, o.FailoverDir)
	if err != nil {
		return err
	}
	if logs > 0 && (theirs.store == "" || theirs.store != now.store) {
		return errors.New("it has logs of another store; use another directory, or remove them if nobody needs them")
	}
	if now.store == "" {
		now.store = rand.Text()
	}
	if theirs.store != now.store {
		mine := logDirs{store: now.store}
		if err := durable.Replace(o.FS, path, "cairn-logs", mine.append(nil)); err != nil {
			return err
		}
	}
	if !slices.Contains(now.dirs, o.FailoverDir) {
		now.dirs = append(now.dirs, o.FailoverDir)
		if err := durable.SyncAncestors(o.FS, o.FailoverDir); err != nil { // it may be new
			return err
		}
	}
	if onOneDevice(o.FS, o.Dir, o.FailoverDir) {
		o.Logger.Warn("the failover directory is on the same file system as the data directory, and stalls with it",
			"directory", o.FailoverDir)
	}
	return nil
}

// onOneDevice reports whether two directories are known to be on one file system.
func onOneDevice(fs vfs.FS, one, other string) bool {
	first, err := fs.Stat(one)
	if err != nil {
		return false
	}
	second, err := fs.Stat(other)
	return err == nil && first.DeviceID() != vfs.DeviceID{} && first.DeviceID() == second.DeviceID()
}
