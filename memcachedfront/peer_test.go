package memcachedfront_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cairn/memcachedfront"
	"cairn/memcachedfront/recorded"
	"cairn/serve"
	"cairn/session"
	"cairn/session/sessiontest"
)

// needProgram returns the path of a program of another project. Without it the
// test fails in CI and is skipped elsewhere.
func needProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is needed in CI: %v", name, err)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// startMemcached runs the real memcached, the one to record if there is one, on a
// free port until the test ends and gives its address.
func startMemcached(t testing.TB, args ...string) (address string) {
	t.Helper()
	ports := filepath.Join(t.TempDir(), "ports")
	args = append([]string{"-p", "-1", "-U", "0", "-l", "127.0.0.1", "-u", "root"}, args...)
	program := recorded.Program()
	if program == "" {
		program = needProgram(t, "memcached")
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "MEMCACHED_PORT_FILENAME="+ports)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 6000 {
		// memcached writes the file under another name first.
		if content, err := os.ReadFile(ports); err == nil {
			for line := range strings.Lines(string(content)) {
				if port, ok := strings.CutPrefix(line, "TCP INET: "); ok {
					return "127.0.0.1:" + strings.TrimSpace(port)
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("memcached did not tell its port")
	return ""
}

// wallClock is the time of the machine, which memcached goes by as well.
type wallClock struct{}

func (wallClock) Now() session.Time { return session.FromTime(time.Now()) }

// blocking makes servers do without event loops; see TestBlocking.
var blocking bool

// startServer serves a model until the test ends and gives its address. change
// may alter the options.
func startServer(t testing.TB, change func(*memcachedfront.Options)) (address string) {
	t.Helper()
	return startServerOn(t, change)[0]
}

func startServerOn(t testing.TB, change func(*memcachedfront.Options)) (addresses []string) {
	t.Helper()
	o := memcachedfront.Options{Options: serve.Options{
		Store:     sessiontest.NewModel(0),
		Clock:     wallClock{},
		Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
		Blocking:  blocking,
	}}
	if change != nil {
		change(&o)
	}
	s, err := memcachedfront.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	for _, a := range s.Addrs() {
		addresses = append(addresses, a.String())
	}
	return addresses
}

// A differential test compares Cairn with memcached under the same limits.
const differentialItemSize = 1 << 20

var differentialMemcachedArgs = []string{"-m", "1024", "-I", strconv.Itoa(differentialItemSize)}

// differentialCairn returns the address of the Cairn to compare: one in this
// process, or the empty one that CAIRN_DIFFERENTIAL_ADDRESS names, which must
// have been started with the same limit.
func differentialCairn(t testing.TB) (address string) {
	if address := os.Getenv("CAIRN_DIFFERENTIAL_ADDRESS"); address != "" {
		return address
	}
	return startServer(t, func(o *memcachedfront.Options) {
		m := sessiontest.NewModel(differentialItemSize)
		o.Store, o.Inspector = m, modelInspector{Model: m}
		o.MaxItemSize = differentialItemSize
	})
}

// differentialCommands is the number of commands that each differential test
// sends: fewer with the race detector, with which they cost several times as much, and
// .ci/run sends 40,000 more without it. CAIRN_DIFFERENTIAL_COMMANDS makes it longer.
func differentialCommands() int {
	if n, err := strconv.Atoi(os.Getenv("CAIRN_DIFFERENTIAL_COMMANDS")); err == nil {
		return n
	}
	if raceFactor > 1 {
		return 20_000
	}
	return 60_000
}

// differentialSeed is random, or what CAIRN_DIFFERENTIAL_SEED says.
func differentialSeed(t testing.TB) uint64 {
	seed, err := strconv.ParseUint(os.Getenv("CAIRN_DIFFERENTIAL_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("CAIRN_DIFFERENTIAL_SEED=%d", seed)
	return seed
}
