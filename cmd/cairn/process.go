package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"cairn/cmd/cairn/config"
	"cairn/processors"
)

// sparedFiles is about how many descriptors the store, the log and the HTTP
// API need besides the clients' connections, and fewestFiles how many they need
// at least.
const (
	sparedFiles = 2048
	fewestFiles = 128
)

// prepareProcess gives the process the shape that cfg asks for: processors,
// limits, locked memory, its user. What fails for want of a right is logged
// where memcached logs it too, and an error where it would be unsafe to go on.
func prepareProcess(cfg *config.Config, logger *slog.Logger) error {
	cfg.Threads = setProcessors(cfg.Threads, cfg.Clustered() || cfg.Proxy())
	if err := raiseFileLimit(cfg, logger); err != nil {
		return err
	}
	if cfg.CoreDumps {
		raiseCoreLimit(logger)
	}
	// Sessions are nobody else's business, also where the data directory is
	// older than Cairn and open to all.
	unix.Umask(unix.Umask(0) | 0o077)
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil && !cfg.Proxy() { // which can do without
		return err
	}
	dirs := []string{cfg.DataDir}
	if cfg.LogFailoverDir != "" {
		if err := os.MkdirAll(cfg.LogFailoverDir, 0o700); err != nil {
			return err
		}
		dirs = append(dirs, cfg.LogFailoverDir)
	}
	if cfg.User != "" {
		if err := becomeUser(cfg.User, dirs, logger); err != nil {
			return fmt.Errorf("user %s: %w", cfg.User, err)
		}
	}
	if cfg.LockMemory {
		if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE); err != nil {
			logger.Warn("memory is not locked", "error", err)
		}
	}
	return nil
}

// backgroundThreads is how many threads may run beside those that serve clients, in a
// cluster. Go's scheduler leaves a goroutine running for 10 ms while requests wait; given
// a thread for it, the kernel lets requests go first. More than one would let the garbage
// collector take more of the processors.
const backgroundThreads = 1

// setProcessors lets threads serve clients, 0 being one for each processor, and returns
// their number. How many there are at a time is left to processors; but a node of a
// cluster or a proxy does not tell that package of its work in the background.
func setProcessors(threads int, cluster bool) int {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if cluster {
		runtime.GOMAXPROCS(threads + backgroundThreads)
	} else {
		processors.Manage(threads)
	}
	return threads
}

// raiseFileLimit makes room for conn-limit connections if the system allows. If
// not, it lowers conn-limit to what there is room for, so that the store has the
// descriptors that it needs. It is an error if there are too few for that.
func raiseFileLimit(cfg *config.Config, logger *slog.Logger) error {
	want := uint64(cfg.ConnLimit) + sparedFiles
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil
	}
	for _, raised := range []syscall.Rlimit{{Cur: want, Max: max(limit.Max, want)}, {Cur: limit.Max, Max: limit.Max}} {
		if raised.Cur > limit.Cur && syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	switch {
	case limit.Cur >= want:
		return nil
	case limit.Cur < fewestFiles:
		return fmt.Errorf("the limit on open files is %d, and the server needs %d at least: raise it (ulimit -n, LimitNOFILE=)",
			limit.Cur, fewestFiles)
	}
	room := int(limit.Cur - sparedOf(limit.Cur))
	logger.Warn("the limit on open files is too low for so many connections",
		"conn-limit", cfg.ConnLimit, "open files", limit.Cur, "needed", want, "connections", min(room, cfg.ConnLimit))
	cfg.ConnLimit = min(room, cfg.ConnLimit)
	return nil
}

// sparedOf is how many of the descriptors are not for connections.
func sparedOf(limit uint64) uint64 { return min(sparedFiles, limit/2) }

// openTables is how many descriptors the store may keep; 0: plenty.
func openTables() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<20 {
		return 0
	}
	return int(sparedOf(limit.Cur)) / 2
}

func raiseCoreLimit(logger *slog.Logger) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit)
	if err == nil {
		limit.Cur = limit.Max
		err = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
	if err != nil {
		logger.Warn("the limit on core files cannot be raised", "error", err)
	}
}

// becomeUser gives the directories to the named user and drops root's
// rights for good. Without root's rights there is nothing to drop.
func becomeUser(name string, dirs []string, logger *slog.Logger) error {
	if os.Geteuid() != 0 {
		logger.Warn("not started as root, so the user is not changed", "user", name, "euid", os.Geteuid())
		return nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, gid, groups, err := idsOf(account)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := giveTree(dir, uid, gid, logger); err != nil {
			return err
		}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}

func idsOf(account *user.User) (uid, gid int, groups []int, err error) {
	if uid, err = strconv.Atoi(account.Uid); err != nil {
		return
	}
	if gid, err = strconv.Atoi(account.Gid); err != nil {
		return
	}
	ids, err := account.GroupIds()
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			groups = append(groups, n)
		}
	}
	return uid, gid, groups, err
}
