package torture

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cairn/session"
)

// TestClusterFaults lets machines of a cluster freeze, their links break, in one
// direction or both, or refuse what comes, their clocks jump by hours, their disks become
// full or fail, and their processes stop and die, at random and at times two at once,
// under the clients of TestClusterKills. The same must hold: nothing acknowledged is lost,
// nothing that is gone comes back, each key is linearizable. A request may fail, if nobody
// can answer it for longer than the nodes' patience; then it had its effect once, or not
// at all.
func TestClusterFaults(t *testing.T) {
	_, err := exec.LookPath("iptables")
	need(t, err == nil, "iptables")
	l := &faultLoop{began: time.Now(), counts: map[string]int{}, lasts: span(700*time.Millisecond, 5*time.Second)}
	l.clientele = newClientele(t, newCluster(t, true, func(n *node) {
		n.giveClock(t)
		if !n.proxy {
			n.disk = newExt4In(t, smallDisk(t, 520), 512)
			n.dir = filepath.Join(n.disk.dir, "data")
		}
	}))
	for _, r := range l.residents {
		r.early = earlyExpiry
	}
	l.begin()
	if long {
		for round := range rounds(1, 180) {
			l.round(round, l.choose())
		}
	} else {
		for round, at := range l.rng.Perm(len(faults)) { // each once
			l.round(round, []happening{{faults[at], l.victim(), l.last()}})
		}
	}
	l.end()
	l.killAll()
	l.settle(true)
	var kinds []string
	for _, name := range slices.Sorted(maps.Keys(l.counts)) {
		kinds = append(kinds, fmt.Sprint(l.counts[name], " ", name))
	}
	l.report("%d rounds with %s; %d nodes ended themselves because of their disks", l.rounds, strings.Join(kinds, ", "), l.ended)
}

// earlyExpiry is how much earlier than it should a session may end because clocks were
// ahead, for a minute all in all: a node's own runs faster then, by a hundredth.
const earlyExpiry = session.Time(1000) // ms

// fault is what can happen to a node. undo makes it good; the node runs then, or starts.
type fault struct {
	name string
	do   func(l *faultLoop, n *node) (undo func())
}

// faults are all that happen. Links that break are those to other nodes, not those to
// clients, but for 'cut off'.
var faults = []fault{
	{"frozen", func(l *faultLoop, n *node) func() {
		n.signal(syscall.SIGSTOP)
		return func() { n.signal(syscall.SIGCONT) }
	}},
	{"cut off", func(l *faultLoop, n *node) func() {
		n.cut()
		return n.heal
	}},
	{"deaf", func(l *faultLoop, n *node) func() { return n.filter(l.some(n), "INPUT -s %s -j DROP") }},
	{"mute", func(l *faultLoop, n *node) func() { return n.filter(l.some(n), "OUTPUT -d %s -j DROP") }},
	{"refusing", func(l *faultLoop, n *node) func() {
		return n.filter(l.some(n), "INPUT -s %s -p tcp -j REJECT --reject-with "+pick(l.rng, "tcp-reset", "icmp-port-unreachable", "icmp-admin-prohibited"))
	}},
	{"refused", func(l *faultLoop, n *node) func() {
		return n.filter(l.some(n), "OUTPUT -d %s -p tcp -j REJECT --reject-with "+pick(l.rng, "tcp-reset", "icmp-host-unreachable"))
	}},
	{"a clock hours ahead", func(l *faultLoop, n *node) func() { return l.misset(n, 1) }},
	{"a clock hours late", func(l *faultLoop, n *node) func() { return l.misset(n, -1) }},
	{"a full disk", func(l *faultLoop, n *node) func() {
		n.disk.fill(l.t)
		return func() { must(l.t, os.Remove(n.disk.ballast())) }
	}},
	{"a failing disk", func(l *faultLoop, n *node) func() {
		n.disk.fail(l.t)
		return func() { l.replaceDisk(n) }
	}},
	{"killed", func(l *faultLoop, n *node) func() {
		n.kill()
		return func() { l.launch(n) }
	}},
	{"stopped", func(l *faultLoop, n *node) func() {
		n.signal(syscall.SIGTERM)
		return func() {
			select {
			case <-n.done:
			case <-time.After(patience):
				l.t.Errorf("%v has not stopped\n%s", n, n.log)
				n.kill()
			}
			l.launch(n)
		}
	}},
}

// faultLoop is a cluster with faults, and its clients.
type faultLoop struct {
	*clientele
	lasts time.Duration // a fault, at most

	began         time.Time
	rounds, ended int
	counts        map[string]int
}

// happening is a fault of a node, for some time.
type happening struct {
	fault
	node  *node
	lasts time.Duration
}

// choose chooses one fault, or two of different nodes.
func (l *faultLoop) choose() []happening {
	first := happening{pick(l.rng, faults...), l.victim(), l.last()}
	if l.rng.IntN(3) > 0 {
		return []happening{first}
	}
	return []happening{first, {pick(l.rng, faults...), pick(l.rng, l.c.but(first.node)...), l.last()}}
}

// victim is the node that leads, half of the time.
func (l *faultLoop) victim() *node {
	if l.rng.IntN(2) == 0 {
		return l.c.leader()
	}
	return pick(l.rng, l.c.nodes...)
}

func (l *faultLoop) last() time.Duration { return time.Duration(l.rng.Int64N(int64(l.lasts))) }

// some are one or all of the other nodes.
func (l *faultLoop) some(n *node) []*node {
	others := l.c.but(n)
	if l.rng.IntN(2) == 0 {
		return others
	}
	return []*node{pick(l.rng, others...)}
}

// round lets faults happen, one shortly after the other, and waits until all nodes are
// well again. In every tenth round it then kills all nodes and looks at what is left.
func (l *faultLoop) round(round int, happenings []happening) {
	l.t.Helper()
	l.rounds++
	h := &history{began: time.Now(), keys: 6, prefix: fmt.Sprintf("f%d-", round), slack: lateExpiry, early: earlyExpiry, mayFail: true}
	proxy := []*node{l.c.proxy}
	contended := l.contend(h, 100, l.lasts/25,
		contender{text{}, l.c.nodes}, contender{meta{}, l.c.nodes}, contender{binary{}, l.c.nodes},
		contender{web{clusterToken}, l.c.nodes}, contender{pick(l.rng, dialects...), proxy})
	l.progress("before a fault", 40)
	type repair struct {
		due  time.Time
		undo func()
	}
	var repairs []repair
	for _, what := range happenings {
		l.counts[what.name]++
		l.t.Logf("%v: round %d: %v: %s, for %v", time.Since(l.began).Round(time.Millisecond), round, what.node, what.name, what.lasts.Round(time.Millisecond))
		repairs = append(repairs, repair{time.Now().Add(what.lasts), what.do(l, what.node)})
		l.pause(300)
	}
	slices.SortFunc(repairs, func(a, b repair) int { return a.due.Compare(b.due) })
	for _, r := range repairs {
		time.Sleep(time.Until(r.due))
		r.undo()
	}
	for _, n := range l.c.nodes {
		select {
		case <-n.done:
			l.t.Fatalf("%v has ended: %v\n%s", n, n.err, n.log)
		default:
		}
		l.c.serves(n)
	}
	contended()
	if round%10 == 9 {
		l.killAll()
		l.settle(false)
	}
	if l.t.Failed() {
		l.end()
		l.t.FailNow()
	}
}

// killAll kills all nodes, and waits until they are back.
func (l *faultLoop) killAll() {
	l.t.Helper()
	killAll(l.c.nodes...)
	for _, n := range l.c.nodes {
		l.launch(n)
	}
	for _, n := range l.c.nodes {
		l.c.serves(n)
	}
}

// launch starts a node with the right time: what a clock that is wrong at a start does to
// sessions is not promised.
func (l *faultLoop) launch(n *node) {
	n.setClock(l.t, 0)
	n.launch()
}

// misset sets a node's clock, by hours forwards or back.
func (l *faultLoop) misset(n *node, sign time.Duration) (undo func()) {
	n.setClock(l.t, sign*(time.Minute+time.Duration(l.rng.Int64N(int64(10*time.Hour)))))
	return func() { n.setClock(l.t, 0) }
}

// replaceDisk lets a node's disk be well again, and its machine start again.
func (l *faultLoop) replaceDisk(n *node) {
	select {
	case <-n.done:
		l.ended++
	default:
	}
	n.kill()
	n.disk.mend(l.t)
	n.disk.remount(l.t)
	l.launch(n)
}

// giveClock lets the clock of a node be set.
func (n *node) giveClock(t *testing.T) {
	n.shift = filepath.Join(filepath.Dir(n.dir), "shift")
	n.env = append(n.env, "CAIRN_CLOCK_SHIFT="+n.shift)
	n.setClock(t, 0)
}

func (n *node) setClock(t *testing.T, wrongBy time.Duration) {
	must(t, os.WriteFile(n.shift+".new", []byte(wrongBy.String()), 0o600))
	must(t, os.Rename(n.shift+".new", n.shift))
}

// filter drops or refuses packets from or to other nodes, by a rule of iptables with %s
// for the other's address.
func (n *node) filter(others []*node, rule string) (undo func()) {
	for _, other := range others {
		n.iptables("-A " + fmt.Sprintf(rule, other.address))
	}
	return func() { n.iptables("-F") }
}

func (m *machine) iptables(args string) {
	m.network.t.Helper()
	command := append(append(m.enter(), "iptables", "-w"), strings.Fields(args)...)
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		m.network.t.Fatalf("iptables %s: %v\n%s", args, err, out)
	}
}

// ballast is what fills the file system, as far as that is done.
func (e *ext4) ballast() string { return filepath.Join(e.dir, "ballast") }

// fill leaves no free byte.
func (e *ext4) fill(t *testing.T) {
	f, err := os.OpenFile(e.ballast(), os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	defer f.Close()
	size := int64(0)
	for step := int64(256 << 20); step >= 4096; {
		switch err := unix.Fallocate(int(f.Fd()), 0, size, step); err {
		case nil:
			size += step
		case unix.ENOSPC:
			step /= 2
		default:
			t.Fatal("fallocate: ", err)
		}
	}
}

// fail makes the disk end after its first sector: whatever goes beyond, to be read or
// written, meets EIO. mend gives it its size again.
func (e *ext4) fail(t *testing.T) { e.limit(t, 512) }
func (e *ext4) mend(t *testing.T) { e.limit(t, 0) }

func (e *ext4) limit(t *testing.T, bytes uint64) {
	device, err := os.OpenFile(e.device(t), os.O_RDWR, 0)
	must(t, err)
	defer device.Close()
	info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
	must(t, err)
	info.Sizelimit = bytes
	must(t, unix.IoctlLoopSetStatus64(int(device.Fd()), info))
}
