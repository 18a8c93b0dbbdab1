package admincli

import (
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

// filterFlags choose sessions.
type filterFlags struct {
	keys                   keyFlag
	prefix, contains       string
	owner                  string
	expiresIn, livesLonger duration
	minSize, maxSize       int64
}

func (f *filterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.keys.add(cmd)
	flags.StringVar(&f.prefix, "prefix", "", "only keys that begin with `text`")
	flags.StringVar(&f.contains, "contains", "", "only keys with `text` somewhere in them; without a prefix all are looked at")
	flags.StringVar(&f.owner, "owner", "", "only sessions of the user with this `id`, or whose id has this hash")
	flags.Var(&f.expiresIn, "expires-within", "only sessions that expire within `duration`, such as 90m or 7d")
	flags.Var(&f.livesLonger, "expires-after", "only sessions that live longer than `duration`")
	flags.Int64Var(&f.minSize, "min-size", 0, "only values of at least so many `bytes`")
	flags.Int64Var(&f.maxSize, "max-size", -1, "only values of at most so many `bytes`")
}

// filter returns the choice as the API takes it.
func (f *filterFlags) filter(now time.Time) (adminapi.Filter, error) {
	prefix, err := f.keys.decode(f.prefix)
	if err != nil {
		return adminapi.Filter{}, err
	}
	body := adminapi.Filter{Contains: f.contains, MinSize: f.minSize}
	if len(prefix) > 0 {
		body.PrefixBase64 = adminapi.EncodeKey(prefix)
	}
	if f.owner != "" {
		owner, err := f.keys.decode(f.owner)
		if err != nil {
			return adminapi.Filter{}, err
		}
		body.OwnerBase64 = adminapi.EncodeKey(owner)
	}
	if f.expiresIn > 0 {
		t := now.Add(time.Duration(f.expiresIn))
		body.ExpiresBefore = &t
	}
	if f.livesLonger > 0 {
		t := now.Add(time.Duration(f.livesLonger))
		body.ExpiresAfter = &t
	}
	if f.maxSize >= 0 {
		body.MaxSize = &f.maxSize
	}
	return body, nil
}

// given reports whether any flag narrows the choice.
func (f *filterFlags) given() bool {
	return f.prefix+f.contains+f.owner != "" || f.expiresIn > 0 || f.livesLonger > 0 || f.minSize > 0 || f.maxSize >= 0
}

// expiryFlags say when a session is to end.
type expiryFlags struct {
	ttl   duration
	at    string
	never bool
}

func (f *expiryFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(&f.ttl, "ttl", "expire after `duration`, such as 90m or 7d")
	flags.StringVar(&f.at, "at", "", "expire at `time` (RFC 3339)")
	flags.BoolVar(&f.never, "never", false, "do not expire")
	cmd.MarkFlagsMutuallyExclusive("ttl", "at", "never")
	cmd.MarkFlagsOneRequired("ttl", "at", "never")
}

func (f *expiryFlags) expiry() (adminapi.Expiry, error) {
	e := adminapi.Expiry{NeverExpires: f.never}
	switch {
	case f.never:
	case f.at != "":
		t, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return e, usagef("--at must be a time such as 2027-01-31T18:00:00Z")
		}
		e.ExpiresAt = &t
	case f.ttl <= 0:
		return e, usagef("--ttl must be longer than nothing")
	default:
		seconds := time.Duration(f.ttl).Seconds()
		e.TTLSeconds = &seconds
	}
	return e, nil
}
