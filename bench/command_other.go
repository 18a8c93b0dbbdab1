//go:build !linux

package bench

import (
	"errors"

	"github.com/spf13/cobra"
)

// NewCommand makes the command `bench`, which needs Linux: it reads what
// servers cost from /proc, and pins them to cores.
func NewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "bench",
		Short: "Compare Cairn with memcached, Redis and yrmcds (on Linux only)",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("bench: runs on Linux only")
		},
	}
}
