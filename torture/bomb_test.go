package torture

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// wideFrame is a zstd frame that asks for a window of 1 GB and holds 128 KB of one
// letter.
var wideFrame = []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x03, 0x00, 0x10, 'a'}

// bombs are small files that unpack into much, by their names. length is that of
// the whole in bytes.
func bombs(t *testing.T, length int64) map[string]string {
	t.Helper()
	_, err := exec.LookPath("zstd")
	need(t, err == nil, "zstd")
	dir := t.TempDir()
	paths := map[string]string{}
	write := func(name, piece string, program ...string) {
		paths[name] = filepath.Join(dir, name)
		f, err := os.Create(paths[name])
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		block := bytes.Repeat([]byte(piece), (1<<20)/len(piece))
		squeeze := exec.Command(program[0], program[1:]...)
		squeeze.Stdin = io.LimitReader(&repeated{block: block}, length)
		squeeze.Stdout = f
		if err := squeeze.Run(); err != nil {
			t.Fatalf("%s: %v", program, err)
		}
	}
	// Programs of the system compress: under the race detector it would take a minute.
	write("line.gz", "a", "gzip", "-1")
	write("line.zst", "a", "zstd", "-1")
	write("zeros.zst", "\x00", "zstd", "-1")
	write("record.zst", "{\"key\":", "zstd", "-1")
	paths["window.zst"] = filepath.Join(dir, "window.zst")
	if err := os.WriteFile(paths["window.zst"], wideFrame, 0o600); err != nil {
		t.Fatal(err)
	}
	return paths
}

// repeated reads as its block again and again.
type repeated struct {
	block []byte
	at    int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	n = copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

// TestBombs imports and restores files that unpack into far more than they are:
// the commands end with an error and little memory, a restore leaves nothing, and
// the server goes on.
func TestBombs(t *testing.T) {
	t.Parallel()
	length := int64(rounds(256, 4000)) << 20
	const most = 192 << 20 // of data, as the kernel counts it
	address := freeAddress(t)
	s := newServer(t, "--http-listen", address)
	s.start()
	neighbour := newNeighbour(t, s)
	limit := fmt.Sprintf(`ulimit -d %d; exec "$0" "$@"`, most>>10)
	run := func(args ...string) {
		t.Helper()
		said, err := exec.Command("sh", append([]string{"-c", limit, cairn(t)}, args...)...).CombinedOutput()
		if err == nil || len(said) == 0 || len(said) > 2000 || bytes.Contains(said, []byte("goroutine")) || bytes.Contains(said, []byte("cannot reach")) {
			t.Errorf("%v: %v, %.500s", args, err, said)
		}
	}
	for _, path := range bombs(t, length) {
		run("import", path, "--url", "http://"+address)
		target := filepath.Join(t.TempDir(), "restored")
		run("restore", path, "--data-dir", target)
		if left, err := os.ReadDir(target); len(left) > 0 {
			t.Errorf("restore of %s left %v, %v", path, left, err)
		}
		neighbour.check()
	}
	peak := s.memory("VmHWM")
	if peak > most {
		t.Errorf("%d bytes of memory in the server", peak)
	}
	figures(t, "files of %d MB when unpacked: less than %d MB of memory in the command, %d MB in the server", length>>20, most>>20, peak>>20)
}
