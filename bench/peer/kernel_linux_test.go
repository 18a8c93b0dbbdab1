package peer

import (
	"testing"
	"time"
)

func TestKernelCPU(t *testing.T) {
	for stat, want := range map[string]int{
		"44 (kworker/1:1H-kblockd) I 2 0 0 0 -1 69238880 0 0 0 0 3 39 0 0 0 -20 1 0 12 0 0\n": 42,
		"45 (a ) name) I 2 0 0 0 -1 69238880 0 0 0 0 0 7 0 0 20 0 1 0 12 0 0\n":               7,
		"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 5 0 0 20 0 1 0 0 0 0\n":                  0,
		"900 (cairn) S 2 2) 0 0 0\n": 0,
		"901 (cairn) S 1 901 901 0 -1 4194560 100 0 0 0 11 22 0 0 20 0 8 0 99 0 0\n": 0,
		"": 0,
	} {
		if cpu := kernelThreadCPU([]byte(stat)); cpu != time.Duration(want)*10*time.Millisecond {
			t.Errorf("%q: %v, want %d ticks of 10 ms", stat, cpu, want)
		}
	}
	if KernelCPU() <= 0 {
		t.Error("the kernel's threads have done nothing since the machine started")
	}
}
