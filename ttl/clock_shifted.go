//go:build cairn_shifted_clock

package ttl

import (
	"os"
	"strings"
	"time"
)

// shiftFile holds by how much the clock is wrong, as a duration; empty: it is
// right. Tests set the clock of a running server with it; no release is built this
// way.
var shiftFile = os.Getenv("CAIRN_CLOCK_SHIFT")

// wall is what the machine believes the time to be.
func wall() time.Time {
	if shiftFile == "" {
		return time.Now()
	}
	text, err := os.ReadFile(shiftFile)
	if err != nil {
		panic("CAIRN_CLOCK_SHIFT: " + err.Error())
	}
	shift, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		panic("CAIRN_CLOCK_SHIFT: " + err.Error())
	}
	return time.Now().Round(0).Add(shift)
}
