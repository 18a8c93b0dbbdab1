// Command cairn-bench compares Cairn with memcached, Redis and yrmcds on this
// machine.
package main

import (
	"context"
	"fmt"
	"os"

	"cairn/bench"
)

// version is set by the linker for a release.
var version = "0.1.0-dev"

func main() {
	cmd := bench.NewCommand(version)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "cairn-bench:", err)
		os.Exit(1)
	}
}
