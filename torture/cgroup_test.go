package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// confine puts the server into a control group of its own with that much memory,
// where that is allowed. At the end of the test, outcome fails the test if the
// kernel had to kill in the group, and says what it saw, for the figures.
func (s *server) confine(bytes int64) (outcome func() string) {
	s.t.Helper()
	dir, limit, events := "/sys/fs/cgroup", "memory.max", "memory.events"
	if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err != nil { // version 1
		dir, limit, events = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"
	}
	group, err := os.MkdirTemp(dir, "cairn-torture-")
	if err == nil {
		s.t.Cleanup(func() {
			s.kill()
			os.Remove(group)
		})
		err = os.WriteFile(filepath.Join(group, limit), []byte(strconv.FormatInt(bytes, 10)), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(s.cmd.Process.Pid)), 0o600)
	}
	if err != nil {
		s.t.Log("no control group: ", err)
		return func() string { return "" }
	}
	return func() string {
		seen, err := os.ReadFile(filepath.Join(group, events))
		if err != nil {
			s.t.Error(err)
		}
		for line := range strings.Lines(string(seen)) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" && f[1] != "0" {
				s.t.Errorf("the kernel killed for want of memory: %s", seen)
			}
		}
		return fmt.Sprintf(", in a control group of %d MB without a kill", bytes>>20)
	}
}
