package doctor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cairn/memory"
)

// openFiles compares the limit on open files with what the server needs.
func openFiles(_ context.Context, o *Options) []Finding {
	if o.OpenFiles == 0 {
		return nil
	}
	const check = "open files"
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return []Finding{{check, Warn, err.Error(), ""}}
	}
	f := Finding{check, OK, fmt.Sprintf("%d allowed, %d needed", limit.Max, o.OpenFiles), ""}
	if limit.Max < uint64(o.OpenFiles) && os.Geteuid() != 0 {
		f.Grade, f.Advice = Warn, "raise LimitNOFILE or ulimit -n, or lower --conn-limit"
	}
	return []Finding{f}
}

// backlog compares the kernel's limit on connections that wait to be accepted
// with what the server asks for.
func backlog(_ context.Context, o *Options) []Finding {
	const check, file = "listen backlog", "/proc/sys/net/core/somaxconn"
	text, err := os.ReadFile(file)
	most, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if o.Backlog == 0 || err != nil || bad != nil {
		return nil
	}
	f := Finding{check, OK, fmt.Sprintf("%d may wait, %d are asked for", most, o.Backlog), ""}
	if most < o.Backlog {
		f.Grade, f.Advice = Warn, fmt.Sprintf("sysctl net.core.somaxconn=%d, so that many clients can connect at once", o.Backlog)
	}
	return []Finding{f}
}

// memory compares what the server means to use with what there is.
func memoryLimit(_ context.Context, o *Options) []Finding {
	there := o.MemoryLimit
	if o.Memory == 0 || there == 0 {
		return nil
	}
	f := Finding{"memory", OK, fmt.Sprintf("%s for Cairn of %s", memory.Size(o.Memory), memory.Size(there)), ""}
	switch {
	case o.Memory > there:
		f.Grade, f.Advice = Fail, "the kernel will kill the server: set less for it, or more for the machine or control group"
	case o.Memory > there*4/5:
		f.Grade, f.Advice = Warn, "little is left for the page cache and for others"
	}
	all := []Finding{f}
	for _, warning := range o.MemoryWarnings {
		all = append(all, Finding{"memory", Warn, warning, "change --memory-total or what it is divided among"})
	}
	return all
}

// clock looks whether the system's clock is kept in step.
func clock(context.Context, *Options) []Finding {
	const check = "clock"
	inStep, known := clockInStep()
	switch {
	case !known:
		return nil
	case !inStep:
		return []Finding{{check, Warn, "it is not synchronised", "run chrony, ntpd or systemd-timesyncd: sessions expire by it"}}
	}
	return []Finding{{check, OK, "synchronised", ""}}
}
