package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cairn/bench/report"
)

// placeThreads chooses cores for servers and clients where that is left open.
// Servers and clients do not share cores, so that what one does cannot be
// counted as the other's slowness.
func (c *Config) placeThreads() error {
	if c.Unpinned {
		if len(c.ServerCPUs)+len(c.ClientCPUs) > 0 {
			return errors.New("bench: threads cannot be both pinned and unpinned")
		}
		return nil
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return fmt.Errorf("bench: affinity: %w", err)
	}
	var cores []int
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			cores = append(cores, cpu)
		}
	}
	for _, cpu := range slices.Concat(c.ServerCPUs, c.ClientCPUs) {
		if !slices.Contains(cores, cpu) {
			return fmt.Errorf("bench: there is no core %d: want some of %v", cpu, cores)
		}
	}
	if len(c.ServerCPUs)+len(c.ClientCPUs) == 0 && len(cores) > 1 {
		c.ServerCPUs, c.ClientCPUs = cores[:len(cores)/2], cores[len(cores)/2:]
	}
	return nil
}

// facts describe the machine and the settings.
func (c *Config) facts(meanSize float64) []report.Fact {
	var name unix.Utsname
	_ = unix.Uname(&name) // leaves it empty
	memory, _ := procLine("/proc/meminfo", "MemTotal")
	model, _ := procLine("/proc/cpuinfo", "model name")
	load, _ := os.ReadFile("/proc/loadavg")
	placement := "threads not pinned"
	if len(c.ServerCPUs)+len(c.ClientCPUs) > 0 {
		placement = fmt.Sprintf("servers on cores %v, client on cores %v", c.ServerCPUs, c.ClientCPUs)
	}
	client := "fast client"
	if c.Ordinary {
		client = "gomemcache"
	}
	return []report.Fact{
		{Name: "machine", Value: fmt.Sprintf("%s, %d cores, %s", model, runtime.NumCPU(), memory)},
		{Name: "kernel", Value: unix.ByteSliceToString(name.Release[:]) + ", " + runtime.Version()},
		{Name: "placement", Value: placement},
		{Name: "load before", Value: strings.TrimSpace(string(load))},
		{Name: "disk", Value: describeDisk(c.Dir)},
		{Name: "client", Value: fmt.Sprintf("%s, %s protocol (Redis: RESP), %d connections, pipelines of %d", client, c.Protocol, c.Connections, c.Pipeline)},
		{Name: "sessions", Value: fmt.Sprintf("%d, of %.0f bytes on average, timeout %v", c.Sessions, meanSize, c.Timeout)},
		{Name: "memory for each server", Value: fmt.Sprintf("%d MiB", c.MemoryMB)},
		{Name: "rounds", Value: fmt.Sprintf("%d of %v, seed %d", c.Rounds, c.Duration, c.Seed)},
	}
}

// procLine returns the value of the first "name: value" line in a file.
func procLine(file, name string) (string, error) {
	content, err := os.ReadFile(file)
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "unknown", err
}

// describeDisk names the file system and how long an fsync takes on it: where
// that costs nothing, durability does not either.
func describeDisk(dir string) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "unknown"
	}
	kind, known := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs, so fsync costs nothing here", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	}[int64(fs.Type)]
	if !known {
		kind = fmt.Sprintf("file system %#x", fs.Type)
	}
	median, err := syncTime(filepath.Join(dir, "sync-probe"))
	if err != nil {
		return kind
	}
	return fmt.Sprintf("%s, append of 4 KiB and fsync: median %s", kind, report.Duration(median))
}

// syncTime measures an append of 4 KiB with fsync in a new file.
func syncTime(path string) (time.Duration, error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	defer file.Close()
	block := bytes.Repeat([]byte{1}, 4<<10)
	times := make([]time.Duration, 50)
	for i := range times {
		start := time.Now()
		if _, err := file.Write(block); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
