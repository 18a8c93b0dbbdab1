package torture

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestModelAgreesWithMemcached runs the wire workload against memcached itself,
// if it is installed: it proves that the model and the dialects of this package
// mean what memcached means, before they judge Cairn.
func TestModelAgreesWithMemcached(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("memcached")
	need(t, err == nil, "memcached")
	sock := filepath.Join(t.TempDir(), "sock")
	args := []string{"-s", sock, "-I", "2m", "-o", "no_modern"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "root")
	}
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if conn, err := net.Dial("unix", sock); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("memcached does not listen")
		}
		time.Sleep(5 * time.Millisecond)
	}
	version, _ := exec.Command(path, "-V").Output()
	old := strings.Contains(string(version), "1.6.18") // Debian 12's
	// memcached pads a number only while no reply in flight holds the item, so
	// commands go one by one
	compareOverTheWire(t, sock, old, 1, rounds(1500, 50_000))
}

// TestWireAgainstModel runs the wire workload against Cairn, pipelined.
func TestWireAgainstModel(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	compareOverTheWire(t, s.sock, false, 30, rounds(150, 20_000))
}

// compareOverTheWire lets one client per dialect talk to a server and compares
// every answer with the model's.
func compareOverTheWire(t *testing.T, sock string, old bool, batch, batches int) {
	rng := newRand(t)
	for i, d := range dialects {
		s := newShadow(1 << 20)
		w := &workload{rng: rng, prefix: d.name(), keys: 20, maxValue: 3000, known: s.known, old: old}
		c, err := connect(sock, dialects[i])
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		for range batches {
			now := wallNow()
			broken, wrong := s.exchange(c, w.commands(d, 1+rng.IntN(batch), now), now)
			if broken != nil || wrong != nil {
				t.Fatal(broken, wrong)
			}
		}
	}
}
