package torture

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// group is a control group with a limit of memory, for one server.
type group struct {
	t     testing.TB
	dir   string // "": there is none, because that is not allowed here
	bytes int64
	v1    bool
}

// newGroup makes a group with that much memory, where that is allowed.
func newGroup(t testing.TB, bytes int64) *group {
	t.Helper()
	g := &group{t: t, bytes: bytes}
	root, limit := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		root, limit, g.v1 = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", true
	}
	dir, err := os.MkdirTemp(root, "cairn-torture-")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, limit), []byte(strconv.FormatInt(bytes, 10)), 0o600)
		t.Cleanup(func() { os.Remove(dir) })
	}
	if err != nil {
		t.Log("no control group: ", err)
		return g
	}
	g.dir = dir
	return g
}

// start starts the server as a member of the group, so that it finds the limit
// there.
func (g *group) start(s *server) {
	g.t.Helper()
	g.t.Cleanup(s.kill) // before the group is removed
	if g.dir != "" {
		wrapper := filepath.Join(filepath.Dir(s.sock), "confined")
		script := fmt.Sprintf("#!/bin/sh\necho $$ > %s/cgroup.procs || exit 1\nexec %s \"$@\"\n", g.dir, cmp.Or(s.program, cairn(g.t)))
		if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
			g.t.Fatal(err)
		}
		s.program = wrapper
	}
	s.start()
}

// kills returns how often the kernel had to kill in the group.
func (g *group) kills() int {
	g.t.Helper()
	name := "memory.events"
	if g.v1 {
		name = "memory.oom_control"
	}
	return int(g.number(name, "oom_kill"))
}

// peak returns the most memory that was ever charged to the group, in bytes,
// pages of files included. The kernel gives those up before it kills, so the
// limit is reached on any busy disk.
func (g *group) peak() int64 {
	g.t.Helper()
	if g.v1 {
		return g.number("memory.max_usage_in_bytes", "")
	}
	return g.number("memory.peak", "")
}

// number reads a number from a file of the group: that behind name, or the only
// one.
func (g *group) number(file, name string) int64 {
	g.t.Helper()
	if g.dir == "" {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		g.t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || name != "" && f[0] != name {
			continue
		}
		n, err := strconv.ParseInt(f[len(f)-1], 10, 64)
		if err != nil {
			g.t.Errorf("%s: %q", file, text)
		}
		return n
	}
	g.t.Errorf("%s has no %s: %q", file, name, text)
	return 0
}

// judge fails the test if the kernel had to kill, and says what it saw, for the
// figures.
func (g *group) judge() string {
	g.t.Helper()
	if g.dir == "" {
		return ""
	}
	if n := g.kills(); n > 0 {
		g.t.Errorf("the kernel killed %d times for want of memory", n)
	}
	return fmt.Sprintf(", in a control group of %d MB (%d MB with pages of files) without a kill", g.bytes>>20, g.peak()>>20)
}
