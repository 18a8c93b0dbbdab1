package interop

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cairn/built"
)

var (
	// binary is the server under test.
	binary string

	// peer checks the tests themselves: what passes here and fails against
	// memcached asks for too much, or for too little.
	peer = flag.String("peer", "", "run against this memcached instead of Cairn; nothing is killed then")

	sessions = flag.Int("sessions", 30_000, "how many sessions the restart test stores")
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "4") // they wait more than they compute
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cairn-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "cairn")
	if *peer != "" {
		return m.Run()
	}
	if err := (built.Program{Package: "cairn/cmd/cairn", Flags: buildFlags}).To(binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// need skips the test where a program or file is missing. In CI it fails
// instead: there, install.sh has run.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		_, err := exec.LookPath(program)
		if filepath.IsAbs(program) {
			_, err = os.Stat(program)
		}
		if err == nil {
			continue
		}
		message := fmt.Sprintf("%s is missing: run interop/install.sh", program)
		if os.Getenv("CI") != "" || !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(message)
		}
		t.Skip(message)
	}
}

// needModule is need for a Python module of Debian's interpreter.
func needModule(t *testing.T, module string) {
	t.Helper()
	need(t, python)
	if exec.Command(python, "-c", "import "+module).Run() != nil {
		need(t, "/usr/lib/python3/dist-packages/"+module)
	}
}

// python is Debian's interpreter: the one that sees Debian's packages.
const python = "/usr/bin/python3"
