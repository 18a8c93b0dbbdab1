package freeport

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

const claimed = "CAIRN_TEST_CLAIMED" // a port that the process started by TestOtherProcess asks for

// A port that this process has claimed is refused to another one.
func TestOtherProcess(t *testing.T) {
	if port, err := strconv.Atoi(os.Getenv(claimed)); err == nil {
		if addr, err := reserve(port); err == nil {
			t.Errorf("%s is reserved a second time", addr)
		}
		return
	}
	eventually(t, func(port int) bool {
		claim, err := claimPort(port)
		if err != nil {
			return false
		}
		if err := elsewhere(port); err != nil {
			t.Errorf("a port that is claimed: %v", err)
		}
		if err := claim.Close(); err != nil {
			t.Fatal(err)
		}
		return elsewhere(port) != nil
	})
}

// elsewhere returns an error if another process can reserve port.
func elsewhere(port int) error {
	other := exec.Command(os.Args[0], "-test.run=^TestOtherProcess$")
	other.Env = append(os.Environ(), claimed+"="+strconv.Itoa(port))
	return other.Run()
}
