package memory

import (
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		-5: "-5 B", 0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1_000_000: "976.6 KiB",
		1<<20 - 1: "1 MiB", 1 << 20: "1 MiB", 256 << 20: "256 MiB", 5 << 29: "2.5 GiB", 1 << 40: "1 TiB", 1 << 50: "1 PiB",
		math.MaxInt64: "8 EiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
