package admincli

import (
	"encoding/base64"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cairn/adminapi"
)

// keyFlag says how keys are written on the command line.
type keyFlag struct{ base64 bool }

func (f *keyFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.base64, "base64", false, "keys and prefixes are in base64, for bytes that cannot be typed")
}

// decode returns the bytes of a key on the command line.
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

// cutKey cuts a key to most characters, at least 16, by leaving out some before its last
// eight, which tell ids apart; 0: it stays whole.
func cutKey(key string, most int) string {
	const least, end = 16, 8
	runes := []rune(key)
	if most == 0 {
		return key
	}
	if most = max(most, least); len(runes) <= most {
		return key
	}
	return string(runes[:most-end-1]) + "…" + string(runes[len(runes)-end:])
}

// keyWidth is how wide keys may be in a table of which other columns take that many
// characters: so that a row fits on the terminal. It is 0 where nothing is cut.
func (a *app) keyWidth(others int) int {
	f, ok := a.Stdout.(*os.File)
	if !ok || !isTerminal(a.Stdout) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 1 {
		return 0
	}
	return max(width-others, 1)
}

// shownKey writes a session's key so that it can be read and, if it is not
// plain text, be used with --base64.
func shownKey(s *adminapi.Session) string {
	if s.KeyBase64 != "" {
		return "base64:" + s.KeyBase64
	}
	if quoted := strconv.Quote(s.Key); quoted != `"`+s.Key+`"` {
		return quoted
	}
	return s.Key
}
