package admincli

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

func (a *app) getCommand() *cobra.Command {
	var keys keyFlag
	cmd := &cobra.Command{
		Use:               "get KEY",
		Short:             "Write a session's value to standard output",
		Long:              "Write the value of a session byte for byte and nothing else. To see it made readable, use show.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, c, err := a.keyed(&keys, args[0])
			if err != nil {
				return err
			}
			return a.showRaw(cmd, c, key)
		},
	}
	keys.add(cmd)
	return cmd
}

func (a *app) setCommand() *cobra.Command {
	var keys keyFlag
	var expiry expiryFlags
	var flags uint32
	cmd := &cobra.Command{
		Use:               "set KEY [FILE]",
		Short:             "Store a session",
		Long:              "Store a session over any other with its key. Its value is what the file has, or standard input.",
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, c, err := a.keyed(&keys, args[0])
			if err != nil {
				return err
			}
			body := adminapi.PutBody{Flags: flags}
			if body.Expiry, err = expiry.expiry(); err != nil {
				return err
			}
			value, err := a.readValue(args[1:])
			if err != nil {
				return err
			}
			encoded := base64.StdEncoding.EncodeToString(value)
			body.ValueBase64 = &encoded
			stored, err := c.Put(cmd.Context(), key, &body)
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &stored)
			}
			fmt.Fprintf(a.Stdout, "stored %s, %s, expires in %s\n", shownKey(&stored), size(int64(stored.Size)), timeLeft(&stored))
			return nil
		},
	}
	keys.add(cmd)
	expiry.add(cmd)
	cmd.Flags().Uint32Var(&flags, "flags", 0, "the client's `flags`, which say to it how the value is encoded")
	return cmd
}

// readValue reads the file that args name, or standard input.
func (a *app) readValue(args []string) ([]byte, error) {
	if len(args) == 0 || args[0] == "-" {
		return io.ReadAll(a.Stdin)
	}
	return os.ReadFile(args[0])
}
