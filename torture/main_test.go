package torture

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"cairn/built"
	"cairn/engine"
	"cairn/memory"
)

// long says that the long form runs. TestMain sets it.
var long = os.Getenv("CAIRN_TORTURE") == "long"

var longFlag = flag.Bool("long", long, "run the long form, as CAIRN_TORTURE=long does")

// scale is how long the long form is, as a share of what is usual.
var scale = func() float64 {
	scale, err := strconv.ParseFloat(cmp.Or(os.Getenv("CAIRN_TORTURE_SCALE"), "1"), 64)
	if err != nil || scale <= 0 {
		panic("CAIRN_TORTURE_SCALE must be a positive number")
	}
	return scale
}()

// rounds chooses between the short and the long form.
func rounds(short, ifLong int) int {
	if long {
		return max(short, int(scale*float64(ifLong)))
	}
	return short
}

// span does the same for durations.
func span(short, ifLong time.Duration) time.Duration {
	if long {
		return max(short, time.Duration(scale*float64(ifLong)))
	}
	return short
}

func TestMain(m *testing.M) {
	if scenario := os.Getenv(victimEnv); scenario != "" {
		os.Exit(victimMain(scenario))
	}
	flag.Parse()
	long = *longFlag
	debug.SetMemoryLimit(memory.Limit() / 2) // disks in memory, of several tests at once
	began := time.Now()
	code := m.Run()
	if long {
		if err := report(os.Stdout, code, time.Since(began)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if underTest.dir != "" {
		os.RemoveAll(underTest.dir)
	}
	os.Exit(code)
}

// underTest is the program under test, made at most once.
var underTest struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// cairn gives the path of the program, built from this source.
func cairn(t testing.TB) string {
	t.Helper()
	underTest.once.Do(func() {
		if underTest.dir, underTest.err = os.MkdirTemp("", "cairn-torture"); underTest.err != nil {
			return
		}
		underTest.path = filepath.Join(underTest.dir, "cairn")
		program := built.Program{Package: "cairn/cmd/cairn", Flags: []string{"-tags", buildTags()}, Static: true}
		underTest.err = program.To(underTest.path)
	})
	if underTest.err != nil {
		t.Fatal(underTest.err)
	}
	return underTest.path
}

// newRand gives the randomness of one test. The seed is in the log of a test
// that fails.
func newRand(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CAIRN_TORTURE_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal("CAIRN_TORTURE_SEED: ", err)
		}
		seed = n
	}
	t.Logf("CAIRN_TORTURE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// need skips the test unless ok: where tests must not be skipped, it fails.
func need(t testing.TB, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") != "":
		t.Fatal("needs ", what)
	default:
		t.Skip("needs ", what)
	}
}

// buildTags make the server check its invariants if these tests do, and let its
// clock be set.
func buildTags() string {
	if engine.Invariants {
		return "cairn_shifted_clock,cairn_invariants"
	}
	return "cairn_shifted_clock"
}
