//go:build !linux

package bench

import (
	"errors"

	"github.com/spf13/cobra"
)

// NewCommand makes the command `cairn-bench`, which needs Linux: it reads what
// servers cost from /proc, and pins them to cores.
func NewCommand(version string) *cobra.Command {
	return &cobra.Command{
		Use:     "cairn-bench",
		Version: version,
		Short:   "Compare Cairn with memcached, Redis and yrmcds (on Linux only)",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("bench: runs on Linux only")
		},
	}
}
