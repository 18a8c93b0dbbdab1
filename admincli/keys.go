package admincli

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// keyFlag says how keys are written on the command line.
type keyFlag struct{ base64 bool }

func (f *keyFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.base64, "base64", false, "keys and prefixes are given in base64, for bytes that cannot be typed")
}

// decode gives the bytes of a key on the command line.
func (f *keyFlag) decode(arg string) ([]byte, error) {
	if !f.base64 {
		return []byte(arg), nil
	}
	arg = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(arg, "="))
	key, err := base64.RawURLEncoding.DecodeString(arg)
	if err != nil {
		return nil, usagef("key %q is not base64", arg)
	}
	return key, nil
}

// keyed returns the key that arg is, and the client to ask for it.
func (a *app) keyed(keys *keyFlag, arg string) ([]byte, *adminapi.Client, error) {
	key, err := keys.decode(arg)
	if err != nil {
		return nil, nil, err
	}
	c, err := a.client()
	return key, c, err
}

// shownKey writes a session's key so that it can be read and, if it is not
// plain text, be given back with --base64.
func shownKey(s *adminapi.Session) string {
	if s.KeyBase64 != "" {
		return "base64:" + s.KeyBase64
	}
	if quoted := strconv.Quote(s.Key); quoted != `"`+s.Key+`"` {
		return quoted
	}
	return s.Key
}
