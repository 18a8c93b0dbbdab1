package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cairn/engine"
	"cairn/session"
	"cairn/tlsconfig"
)

// value is a flag of any type, made from its two conversions.
type value[T any] struct {
	at     *T
	kind   string
	parse  func(string) (T, error)
	format func(T) string
}

func (v *value[T]) Type() string   { return v.kind }
func (v *value[T]) String() string { return v.format(*v.at) }

func (v *value[T]) Set(text string) error {
	parsed, err := v.parse(text)
	if err == nil {
		*v.at = parsed
	}
	return err
}

// parseSize reads bytes with memcached's suffixes k, m and g (powers of 1024,
// either case); a number without one counts in unit bytes.
func parseSize(text string, unit int64) (int64, error) {
	digits := text
	if text != "" {
		switch text[len(text)-1] | 0x20 {
		case 'k':
			unit = 1 << 10
		case 'm':
			unit = 1 << 20
		case 'g':
			unit = 1 << 30
		case 't':
			unit = 1 << 40
		}
		digits = strings.TrimRight(text, "kKmMgGtT")
		if len(digits) < len(text)-1 {
			digits = text
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("must be a number, which k, m, g or t may follow")
	}
	if n > math.MaxInt64/unit {
		return 0, errors.New("is too large")
	}
	return n * unit, nil
}

// formatSize is the inverse of parseSize for numbers that count in unit bytes.
func formatSize(n, unit int64) string {
	for _, s := range []struct {
		suffix string
		size   int64
	}{{"t", 1 << 40}, {"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}} {
		if s.size == unit && n%unit == 0 {
			return strconv.FormatInt(n/unit, 10)
		}
		if n != 0 && n%s.size == 0 {
			return strconv.FormatInt(n/s.size, 10) + s.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// sizeValue is a size in bytes within [least, most].
func sizeValue(at *int64, unit, least, most int64) *value[int64] {
	parse := func(text string) (int64, error) {
		n, err := parseSize(text, unit)
		if err == nil && (n < least || n > most) {
			err = fmt.Errorf("must be between %s and %s", formatSize(least, 1), formatSize(most, 1))
		}
		return n, err
	}
	kind := "bytes"
	if unit == 1<<20 {
		kind = "megabytes"
	}
	return &value[int64]{at, kind, parse, func(n int64) string { return formatSize(n, unit) }}
}

func durabilityValue(at *engine.Durability) *value[engine.Durability] {
	return &value[engine.Durability]{at, "sync|interval:duration", engine.ParseDurability, engine.Durability.String}
}

func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, errors.New("must be an octal mode, such as 700")
	}
	return fs.FileMode(mode), nil
}

func modeValue(at *fs.FileMode) *value[fs.FileMode] {
	return &value[fs.FileMode]{at, kindMode, parseMode, func(m fs.FileMode) string {
		return strconv.FormatUint(uint64(m), 8)
	}}
}

const kindMode = "octal"

// parseSeconds reads a duration; a bare number counts in seconds, as
// memcached's do.
func parseSeconds(text string) (time.Duration, error) {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errors.New("must be seconds or a duration, such as 300 or 5m")
	}
	return d, nil
}

func secondsValue(at *time.Duration) *value[time.Duration] {
	return &value[time.Duration]{at, "seconds", parseSeconds, func(d time.Duration) string {
		if d%time.Second == 0 {
			return strconv.FormatInt(int64(d/time.Second), 10)
		}
		return d.String()
	}}
}

// mostUndo bounds how long what was deleted is kept.
const mostUndo = 24 * time.Hour

// durationText is a length of time as session.ParseDuration reads it, of a day at most.
func durationText(at *time.Duration) *value[time.Duration] {
	parse := func(text string) (time.Duration, error) {
		d, err := session.ParseDuration(text)
		if err == nil && d > mostUndo {
			err = fmt.Errorf("must be at most %s", session.FormatDuration(mostUndo))
		}
		return d, err
	}
	return &value[time.Duration]{at, "duration", parse, session.FormatDuration}
}

// durationValue is a duration within [least, most]; bounds says so in the error.
func durationValue(at *time.Duration, least, most time.Duration, bounds string) *value[time.Duration] {
	parse := func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < least || d > most {
			return 0, errors.New("must be a duration " + bounds)
		}
		return d, nil
	}
	return &value[time.Duration]{at, "duration", parse, time.Duration.String}
}

// intValue is a number within [least, most].
func intValue(at *int, least, most int) *value[int] {
	parse := func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("must be a number from %d to %d", least, most)
		}
		return n, nil
	}
	return &value[int]{at, "number", parse, strconv.Itoa}
}

// longestControlPrefix leaves room for what stands behind it in a key, in bytes.
const longestControlPrefix = 64

// controlPrefix is the beginning of a key that every protocol can carry.
func controlPrefix(at *string) *value[string] {
	parse := func(text string) (string, error) {
		if len(text) > longestControlPrefix {
			return "", fmt.Errorf("must have at most %d bytes", longestControlPrefix)
		}
		for _, b := range []byte(text) {
			if b <= ' ' || b >= 0x7f {
				return "", errors.New("must be printable ASCII without spaces")
			}
		}
		return text, nil
	}
	return &value[string]{at, "text", parse, func(s string) string { return s }}
}

// oneOf is one of a few words.
func oneOf(at *string, words ...string) *value[string] {
	parse := func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", fmt.Errorf("must be one of %s", strings.Join(words, ", "))
		}
		return text, nil
	}
	return &value[string]{at, strings.Join(words, "|"), parse, func(s string) string { return s }}
}

// parseVerifyMode also reads memcached's numbers. Its 3 ("once": verify when
// the session is new) is the same as 2 here.
func parseVerifyMode(text string) (tlsconfig.ClientVerification, error) {
	switch text {
	case "0":
		return tlsconfig.NoClients, nil
	case "1":
		return tlsconfig.RequestClients, nil
	case "2", "3":
		return tlsconfig.RequireClients, nil
	}
	return tlsconfig.ParseClientVerification(text)
}

func verifyValue(at *tlsconfig.ClientVerification) *value[tlsconfig.ClientVerification] {
	return &value[tlsconfig.ClientVerification]{at, "none|request|require", parseVerifyMode, tlsconfig.ClientVerification.String}
}

// parseTLSVersion also reads memcached's names and numbers.
func parseTLSVersion(text string) (uint16, error) {
	switch text {
	case "tlsv1.2", "2":
		text = "1.2"
	case "tlsv1.3", "3":
		text = "1.3"
	}
	return tlsconfig.ParseVersion(text)
}

func tlsVersionValue(at *uint16) *value[uint16] {
	return &value[uint16]{at, "1.2|1.3", parseTLSVersion, func(v uint16) string {
		return strings.TrimPrefix(tls.VersionName(v), "TLS ")
	}}
}
