package memory

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limit returns how many bytes of memory the process may use: those of the
// machine, or of the tightest control group that it is in.
func Limit() int64 {
	limit := int64(math.MaxInt64)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		limit = int64(info.Totalram) * int64(info.Unit)
	}
	groups, _ := os.ReadFile("/proc/self/cgroup")
	return min(limit, groupsLimit("/sys/fs/cgroup", string(groups)))
}

// groupsLimit returns the least limit of the control groups that groups, in the
// form of /proc/self/cgroup, names. The groups' files are below root.
func groupsLimit(root, groups string) int64 {
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "": // version 2
			limit = min(limit, groupLimit(root, fields[2], "memory.max"))
		case fields[1] == "memory":
			limit = min(limit, groupLimit(filepath.Join(root, "memory"), fields[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// groupLimit returns the least limit of a control group and those around it. In a
// container the path may be one that is only known outside; the root is the
// container's own group then.
func groupLimit(root, group, file string) int64 {
	limit := int64(math.MaxInt64)
	for {
		text, err := os.ReadFile(filepath.Join(root, group, file))
		if n, bad := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil && n > 0 {
			limit = min(limit, n)
		}
		if group == "/" || group == "." {
			return limit
		}
		group = filepath.Dir(group)
	}
}
