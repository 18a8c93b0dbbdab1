package peer_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cairn/bench/peer"
)

// Every server that is installed can be started, measured, restarted and
// stopped. Cairn itself is covered where its binary is built.
func TestServersRun(t *testing.T) {
	for _, name := range peer.Bases() {
		t.Run(name, func(t *testing.T) {
			spec, err := peer.ParseSpec(name)
			if err != nil {
				t.Fatal(err)
			}
			if spec.IsCairn() {
				t.Skip("needs a built binary: see the suite's own tests")
			}
			requireInstalled(t, spec)
			run(t, spec)
		})
	}
}

func run(t *testing.T, spec peer.Spec) {
	server, err := spec.Start(t.Context(), peer.Options{
		Dir: filepath.Join(t.TempDir(), "server"), MemoryMB: 64, Threads: 1, CPUs: []int{runtime.NumCPU() - 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	if version := server.Version(); version == "unknown" {
		t.Error("it does not tell its version")
	}
	usage, err := server.Usage()
	if err != nil || usage.RSS < 1<<20 || usage.PeakRSS < usage.RSS {
		t.Errorf("usage %+v, %v", usage, err)
	}
	if _, err := server.Disk(); err != nil {
		t.Error(err)
	}
	// yrmcds 1.1 hangs at times on a busy machine. That a peer hangs is its own
	// fault; that it is killed then is what counts here.
	if _, err := server.Stop(); err != nil && !errors.Is(err, peer.ErrHung) {
		t.Fatal(err)
	}
	if server.Final().PeakRSS < 1<<20 {
		t.Errorf("final usage %+v", server.Final())
	}
	if _, err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if conn, err := net.Dial("tcp", server.Address); err == nil {
		conn.Close()
		t.Error("it still listens after Kill")
	}
	if err := server.Remove(); err != nil {
		t.Error(err)
	}
}

func TestServerThatCannotStart(t *testing.T) {
	spec, err := peer.ParseSpec("memcached --no-such-flag")
	if err != nil {
		t.Fatal(err)
	}
	requireInstalled(t, spec)
	server, err := spec.Start(t.Context(), peer.Options{Dir: filepath.Join(t.TempDir(), "x"), MemoryMB: 64})
	if err == nil {
		server.Kill()
		t.Fatal("no error")
	}
	t.Log(err)
}

// requireInstalled lets a server be missing except on CI.
func requireInstalled(t *testing.T, spec peer.Spec) {
	t.Helper()
	if _, err := spec.Find(); err == nil {
		return
	} else if os.Getenv("CI") != "" {
		t.Fatal(err)
	} else {
		t.Skip(err)
	}
}
