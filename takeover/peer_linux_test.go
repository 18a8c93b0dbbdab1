package takeover

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGiverEndsBeforeItIsKnown connects to a server that ends before the taker has
// found out which process it is: there is nobody to take over from.
func TestGiverEndsBeforeItIsKnown(t *testing.T) {
	dir := t.TempDir()
	giver := exec.Command(os.Args[0], dir)
	giver.Env = append(os.Environ(), "TAKEOVER_TOY=none")
	out, err := giver.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := giver.Start(); err != nil {
		t.Fatal(err)
	}
	defer giver.Process.Kill()
	said := bufio.NewScanner(out)
	for said.Scan() && !strings.HasPrefix(said.Text(), "serving") {
	}
	conn, err := dial(t.Context(), filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	giver.Process.Kill()
	giver.Wait()
	if _, err := meet(t.Context(), conn, TakerOptions{}); !errors.Is(err, ErrNobody) {
		t.Errorf("%v, want ErrNobody", err)
	}
}
