package torture

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A network is some machines, joined by a bridge, which the test's clients dial from. Each
// has a network namespace of its own, and so an address, and a link that can be cut;
// they share everything else.
type network struct {
	t        testing.TB
	bridge   *machine
	machines []*machine
}

type machine struct {
	network   *network
	address   string // without a port
	link      string // of the bridge, to the machine
	namespace string // a path
}

// newNetwork makes a network that is there until the test ends.
func newNetwork(t testing.TB, machines int) *network {
	t.Helper()
	need(t, os.Getuid() == 0, "root, to make networks")
	_, err := exec.LookPath("ip")
	need(t, err == nil, "ip, of iproute2")
	n := &network{t: t}
	n.bridge = n.machine("10.77.0.1", "")
	n.bridge.ip("link add bridge type bridge")
	n.bridge.ip("addr add 10.77.0.1/24 dev bridge")
	n.bridge.ip("link set bridge up")
	for i := range machines {
		m := n.machine(fmt.Sprintf("10.77.0.%d", i+2), fmt.Sprint("link", i))
		n.machines = append(n.machines, m)
		n.bridge.ip("link add " + m.link + " type veth peer name eth0 netns " + m.pid())
		n.bridge.ip("link set " + m.link + " master bridge up")
		m.ip("addr add " + m.address + "/24 dev eth0")
		m.ip("link set eth0 up")
		m.ip("link set lo up")
	}
	return n
}

// machine makes a namespace, which a process of its own keeps alive.
func (n *network) machine(address, link string) *machine {
	n.t.Helper()
	keeper := exec.Command("sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET}
	if err := keeper.Start(); err != nil {
		need(n.t, false, "leave to make networks: "+err.Error())
	}
	n.t.Cleanup(func() {
		keeper.Process.Kill()
		keeper.Wait()
	})
	return &machine{network: n, address: address, link: link, namespace: fmt.Sprintf("/proc/%d/ns/net", keeper.Process.Pid)}
}

func (m *machine) pid() string { return strings.Split(m.namespace, "/")[2] }

// enter is the command that runs another one on the machine, in the same process.
func (m *machine) enter() []string { return []string{"nsenter", "--net=" + m.namespace, "--"} }

func (m *machine) ip(args string) {
	m.network.t.Helper()
	command := append(append(m.enter(), "ip"), strings.Fields(args)...)
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		m.network.t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// cut pulls the machine's cable out, heal puts it back.
func (m *machine) cut()  { m.network.bridge.ip("link set " + m.link + " down") }
func (m *machine) heal() { m.network.bridge.ip("link set " + m.link + " up") }

// dial connects to an address, which is not a name. A socket stays in the namespace in
// which it was made.
func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer own.Close()
	bridge, err := os.Open(n.bridge.namespace)
	if err != nil {
		return nil, err
	}
	defer bridge.Close()
	if err := unix.Setns(int(bridge.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	defer func() {
		if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err) // the thread would go on in the wrong network
		}
	}()
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}
