package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"cairn/memory"
)

// patience is what memcached-session-manager waits for an answer by default.
const patience = 100 * time.Millisecond

// directory looks whether the data directory can be used, and how much of its
// file system is free.
func directory(_ context.Context, o *Options) []Finding {
	if o.Dir == "" {
		return nil
	}
	const check = "data directory"
	info, wrong := lookAt(check, o.Dir, "data-dir", "a server that is started makes it, and begins with an empty store")
	if wrong != nil {
		return wrong
	}
	found := []Finding{{check, OK, o.Dir, ""}}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		found[0] = Finding{check, Warn, fmt.Sprintf("%s has mode %04o: every user may look into it", o.Dir, mode), "chmod 700 " + o.Dir}
	}
	return append(found, space(o))
}

// lookAt looks whether dir is a directory that can be entered, and says what is wrong
// otherwise: flag names it, and absent is the advice if it does not exist.
func lookAt(check, dir, flag, absent string) (info os.FileInfo, wrong []Finding) {
	info, err := os.Stat(dir)
	switch {
	case os.IsNotExist(err):
		return nil, []Finding{{check, Warn, dir + " does not exist", absent}}
	case err != nil:
		return nil, []Finding{{check, Fail, err.Error(), "let the user of the server enter it"}}
	case !info.IsDir():
		return nil, []Finding{{check, Fail, dir + " is not a directory", "name another with --" + flag}}
	}
	return info, nil
}

// space looks at what is free.
func space(o *Options) Finding {
	const check = "free space"
	var fs unix.Statfs_t
	if err := unix.Statfs(o.Dir, &fs); err != nil {
		return Finding{check, Warn, err.Error(), ""}
	}
	free, total := int64(fs.Bavail)*int64(fs.Bsize), int64(fs.Blocks)*int64(fs.Bsize)
	f := Finding{check, OK, fmt.Sprintf("%s of %s", memory.Size(free), memory.Size(total)), ""}
	reserve := int64(0)
	if o.Reserve != nil {
		reserve = o.Reserve(total)
	}
	switch {
	case free < reserve:
		f.Grade, f.Advice = Fail, fmt.Sprintf("below --disk-reserve (%s) new sessions are refused: make room", memory.Size(reserve))
	case free < total/10:
		f.Grade, f.Advice = Warn, "less than a tenth is free: see what fills it"
	}
	return f
}

// failover looks whether the log can be written elsewhere while the disk of the data
// directory stalls.
func failover(ctx context.Context, o *Options) []Finding {
	if o.FailoverDir == "" {
		return nil
	}
	const check = "failover directory"
	if _, wrong := lookAt(check, o.FailoverDir, "log-failover-dir", "mount its disk; a server that is started makes the directory, if it never had one"); wrong != nil {
		return wrong
	}
	var here, there unix.Stat_t
	if unix.Stat(o.Dir, &here) == nil && unix.Stat(o.FailoverDir, &there) == nil && here.Dev == there.Dev {
		return []Finding{{check, Warn, o.FailoverDir + " is on the file system of the data directory, and stalls with it", "use a directory on another disk"}}
	}
	return timed(ctx, check, o.FailoverDir, o.Syncs)
}

// syncs measures how long the disk takes to make 4 KB durable.
func syncs(ctx context.Context, o *Options) []Finding {
	if o.Dir == "" {
		return nil
	}
	return timed(ctx, "fdatasync of 4 KB", o.Dir, o.Syncs)
}

// timed measures n syncs in dir, for a check.
func timed(ctx context.Context, check, dir string, n int) []Finding {
	times, err := measure(ctx, dir, n)
	switch {
	case os.IsNotExist(err):
		return nil // said above
	case errors.Is(err, unix.ENOSPC):
		return []Finding{{check, Fail, err.Error(), "a server that runs is read-only until there is room, and so is one that is started: make room, it goes on by itself"}}
	case err != nil:
		return []Finding{{check, Fail, err.Error(), "the user of the server must be able to write into " + dir}}
	case len(times) == 0:
		return nil
	}
	slices.Sort(times)
	at := func(share float64) time.Duration {
		return times[min(len(times)-1, int(share*float64(len(times))))].Round(10 * time.Microsecond)
	}
	f := Finding{Check: check, Grade: OK, Found: fmt.Sprintf("half within %v, 99%% within %v, longest %v of %d", at(0.5), at(0.99), at(1), len(times))}
	switch longest := at(1); {
	case at(0.99) > patience:
		f.Grade, f.Advice = Fail, fmt.Sprintf("clients such as memcached-session-manager give up after %v: use another disk, or see what else writes to this one", patience)
	case longest > patience || at(0.5) > patience/10:
		f.Grade, f.Advice = Warn, fmt.Sprintf("every acknowledged write waits for one, and some clients give up after %v: see what else writes to this disk", patience)
	}
	return []Finding{f}
}

// measure writes and syncs n times a file in dir, as the write-ahead log does:
// over blocks that have been written before.
func measure(ctx context.Context, dir string, n int) (times []time.Duration, err error) {
	file, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	page := make([]byte, 4096)
	for i := range 64 {
		if _, err := file.WriteAt(page, int64(i)*4096); err != nil {
			return nil, err
		}
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		page[0]++
		began := time.Now()
		if _, err := file.WriteAt(page, int64(i%64)*4096); err != nil {
			return nil, err
		}
		if err := datasync(file); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}
