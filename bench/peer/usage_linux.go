package peer

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a server has cost since its start, from the kernel's books; it
// includes children that have ended, such as those that rewrite Redis' file.
type Usage struct {
	User    time.Duration // processor time, in steps of 10 ms
	System  time.Duration
	RSS     int64 // bytes of memory at the moment
	PeakRSS int64
	Written int64 // bytes given to the disk: pages made dirty

	// Switches is how often a thread of the process gave up its processor, to
	// wait or because another one was to run. Threads that ended are left out.
	Switches int64
}

// CPU is the processor time in all.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// ticksPerSecond is USER_HZ, the same on every Linux that Go runs on.
const ticksPerSecond = 100

// Usage reads what the running server has cost.
func (s *Server) Usage() (Usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(s.process.Pid))
	var u Usage
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, fmt.Errorf("peer: %w", err)
	}
	if err := u.readStat(stat); err != nil {
		return u, err
	}
	for _, file := range []struct {
		name, field string
		unit        int64
		into        *int64
	}{
		{"status", "VmRSS:", 1 << 10, &u.RSS},
		{"status", "VmHWM:", 1 << 10, &u.PeakRSS},
		{"io", "write_bytes:", 1, &u.Written},
	} {
		content, err := os.ReadFile(filepath.Join(dir, file.name))
		if err != nil {
			return u, fmt.Errorf("peer: %w", err)
		}
		n, err := procField(content, file.field)
		if err != nil {
			return u, err
		}
		*file.into = n * file.unit
	}
	u.Switches, err = switches(dir)
	return u, err
}

// switches adds up the context switches of a process' threads, from its directory
// in /proc.
func switches(dir string) (n int64, err error) {
	threads, err := filepath.Glob(filepath.Join(dir, "task", "*", "status"))
	if err != nil {
		return 0, fmt.Errorf("peer: %w", err)
	}
	for _, thread := range threads {
		content, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		for _, field := range []string{"voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"} {
			more, err := procField(content, field)
			if err != nil {
				return 0, err
			}
			n += more
		}
	}
	return n, nil
}

// KernelCPU is the processor time that the kernel's own threads have used since the
// machine started: what they do for a server, such as a sync that it does not wait for
// itself, is counted for no process. Threads that have ended are not in it.
func KernelCPU() (total time.Duration) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, path := range paths {
		if stat, err := os.ReadFile(path); err == nil { // or it has ended
			total += kernelThreadCPU(stat)
		}
	}
	return total
}

// kernelThreadCPU is the processor time of a process, by its stat file; 0 for one that is
// no thread of the kernel, which all have the same parent.
func kernelThreadCPU(stat []byte) time.Duration {
	const parent, kthreadd = 4 - 3, "2"
	var u Usage
	if fields := statFields(stat); len(fields) <= parent || string(fields[parent]) != kthreadd || u.readStat(stat) != nil {
		return 0
	}
	return u.CPU()
}

// statFields are those of /proc/<pid>/stat (proc(5)) from the third on. The second one,
// the name, may hold anything.
func statFields(stat []byte) [][]byte {
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}

// readStat takes the processor times out of /proc/<pid>/stat, fields 14 to 17.
func (u *Usage) readStat(stat []byte) error {
	fields := statFields(stat)
	if len(fields) < 15 {
		return fmt.Errorf("peer: unexpected /proc/<pid>/stat: %q", stat)
	}
	var ticks [4]int64
	for i := range ticks {
		n, err := strconv.ParseInt(string(fields[11+i]), 10, 64)
		if err != nil {
			return fmt.Errorf("peer: unexpected /proc/<pid>/stat: %w", err)
		}
		ticks[i] = n
	}
	u.User = time.Duration(ticks[0]+ticks[2]) * time.Second / ticksPerSecond
	u.System = time.Duration(ticks[1]+ticks[3]) * time.Second / ticksPerSecond
	return nil
}

// procField reads the number behind name in a file of "name: number" lines.
func procField(content []byte, name string) (int64, error) {
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("peer: no field %s in /proc", name)
}

// Final returns the usage of a server that has ended.
func (s *Server) Final() Usage {
	state := s.state
	u := Usage{User: state.UserTime(), System: state.SystemTime()}
	if rusage, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.PeakRSS = rusage.Maxrss << 10
		u.Written = rusage.Oublock * 512
	}
	return u
}

// Disk is what a server's files take.
type Disk struct {
	Allocated int64 // bytes, with what is reserved for files to grow into
	Length    int64 // bytes in the files
}

// Disk measures the server's files, without its log.
func (s *Server) Disk() (Disk, error) {
	var total Disk
	err := filepath.WalkDir(s.options.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == s.logPath() {
			return skipGone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return skipGone(err)
		}
		total.Length += info.Size()
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			total.Allocated += stat.Blocks * 512
		}
		return nil
	})
	return total, err
}

// skipGone forgives a file that the server deleted in the meantime.
func skipGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// DiskWritten gives how many bytes the disk below dir has been given to write
// since the machine started, by whomever, once what waits in memory is written.
// The error is fs.ErrNotExist if there is no single disk.
func DiskWritten(dir string) (int64, error) {
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return 0, fmt.Errorf("peer: %s: %w", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("peer: %s: %w", dir, err)
	}
	name := fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev))
	stat, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("peer: %w", err)
	}
	return sectorsWritten(string(stat))
}

// sectorsWritten reads the seventh number of a block device's statistics
// (Documentation/block/stat.rst of Linux), which counts sectors of 512 bytes,
// and gives it in bytes.
func sectorsWritten(stat string) (int64, error) {
	fields := strings.Fields(stat)
	if len(fields) < 7 {
		return 0, fmt.Errorf("peer: unexpected statistics of a disk: %q", stat)
	}
	n, err := strconv.ParseInt(fields[6], 10, 64)
	return 512 * n, err
}
