package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cairn/durable"
)

// StagingDir is the directory inside a data directory that holds a store while
// it is being restored. Where it stands without a file FORMAT beside it, the
// data directory is incomplete.
const StagingDir = "restoring"

const (
	stagedStore = StagingDir + "/store"
	journal     = StagingDir + "/moving" // names that may have left stagedStore, one a line, and a blank line
	journalEnd  = "\n\n"
	formatFile  = "FORMAT"
	lockFile    = "LOCK"
	logFile     = "cairn.log" // of a server that runs in the background, and the one before
)

// ErrBusy says that another restore is filling the directory.
var ErrBusy = errors.New("backup: another restore is filling the directory")

// target is a data directory that a restore fills.
type target struct {
	dir  string // absolute
	root *os.Root
	lock *os.File // dir, held so that no other restore fills it
	made []string // directories that were absent, innermost first

	// giveAway tells to give all that is made to uid and gid.
	giveAway bool
	uid, gid int
}

// openTarget makes dir if it is absent, locks it, and clears what a killed
// restore left in it. The error is ErrNotEmpty if it holds anything else.
func openTarget(dir string) (*target, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t := &target{dir: dir, made: absent(dir)}
	if err := t.open(); err != nil {
		return nil, errors.Join(err, t.removeMade(), t.close())
	}
	return t, nil
}

func (t *target) open() (err error) {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	if t.root, err = os.OpenRoot(t.dir); err != nil {
		return err
	}
	if t.lock, err = t.root.Open("."); err != nil {
		return err
	}
	if err := unix.Flock(int(t.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%w: %s", ErrBusy, t.dir)
	}
	if err := t.findOwner(); err != nil {
		return err
	}
	if err := t.clear(); err != nil {
		return err
	}
	return t.checkEmpty()
}

// absent lists those of dir and the directories above it that do not exist,
// innermost first.
func absent(dir string) (list []string) {
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return list
		}
		list = append(list, dir)
	}
}

func (t *target) findOwner() error {
	info, err := t.lock.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		t.uid, t.gid = int(stat.Uid), int(stat.Gid)
		t.giveAway = t.uid != 0
	}
	return nil
}

// checkEmpty refuses a directory that holds anything but what file systems and
// container images put into empty volumes, and the lock and log of a server
// that never made a store.
func (t *target) checkEmpty() error {
	entries, err := fs.ReadDir(t.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if name != "lost+found" && name != lockFile && !strings.HasPrefix(name, logFile) && !strings.HasPrefix(name, ".") {
			return fmt.Errorf("%w: %s holds %s", ErrNotEmpty, t.dir, name)
		}
	}
	return nil
}

// storePath is where the store stands until settle.
func (t *target) storePath() string { return filepath.Join(t.dir, stagedStore) }

// settle moves the store into place.
func (t *target) settle() error {
	names, err := t.storeNames()
	if err != nil {
		return err
	}
	if err := t.announce(names); err != nil {
		return err
	}
	if err := durable.SyncPath(t.dir); err != nil { // before a start can take it for a store
		return err
	}
	if err := t.move(names); err != nil {
		return err
	}
	return t.root.RemoveAll(StagingDir)
}

// announce writes the journal, which lets a later clear take back what a crash
// leaves half moved.
func (t *target) announce(names []string) error {
	if err := t.writeFile(journal, strings.NewReader(strings.Join(names, "\n")+journalEnd)); err != nil {
		return err
	}
	return errors.Join(t.syncDir(StagingDir), t.syncDir("."))
}

// move moves files of the store into place, durably.
func (t *target) move(names []string) error {
	for _, name := range names {
		if name == formatFile {
			if err := t.syncDir("."); err != nil {
				return err
			}
		}
		if err := t.root.Rename(path.Join(stagedStore, name), name); err != nil {
			return err
		}
	}
	return t.syncDir(".")
}

// storeNames lists what is to be moved, FORMAT last. None of it may stand in
// the data directory already.
func (t *target) storeNames() ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), stagedStore)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		switch name := e.Name(); {
		case name == lockFile || name == formatFile:
		case strings.Contains(name, "\n") || name == StagingDir || t.exists(name):
			return nil, fmt.Errorf("%w: %q cannot be moved into place", ErrDamaged, name)
		default:
			names = append(names, name)
		}
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == formatFile }) {
		names = append(names, formatFile)
	}
	return names, nil
}

func (t *target) exists(name string) bool {
	_, err := t.root.Lstat(name)
	return err == nil
}

// clear removes what an unfinished restore left: the staging directory and,
// unless the last file had been moved, those that had. It touches no store.
func (t *target) clear() error {
	if !t.exists(StagingDir) || t.exists(formatFile) {
		return nil
	}
	moved, err := t.moved()
	if err != nil {
		return err
	}
	for _, name := range moved {
		if err := t.root.RemoveAll(name); err != nil {
			return err
		}
	}
	if err := t.syncDir("."); err != nil {
		return err
	}
	return t.root.RemoveAll(StagingDir)
}

// moved reads the journal. One that was not written to its end is empty:
// nothing had been moved.
func (t *target) moved() ([]string, error) {
	content, err := t.root.ReadFile(journal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names, whole := strings.CutSuffix(string(content), journalEnd)
	if err != nil || !whole || names == "" {
		return nil, err
	}
	return strings.Split(names, "\n"), nil
}

// undo leaves the directory as it was found. A store that has all its files
// stays.
func (t *target) undo() error {
	return errors.Join(t.clear(), t.removeMade())
}

// removeMade removes the directories that were absent, as far as they are
// empty.
func (t *target) removeMade() error {
	for _, dir := range t.made {
		err := os.Remove(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

func (t *target) close() (err error) {
	if t.lock != nil {
		err = t.lock.Close()
	}
	if t.root != nil {
		err = errors.Join(err, t.root.Close())
	}
	return err
}
