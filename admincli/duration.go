package admincli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// duration is the value of a flag: Go's durations, and days and weeks besides,
// such as 90m, 7d or 1w2d12h.
type duration time.Duration

var longUnit = regexp.MustCompile(`^(\d{1,6})([wd])`)

// Set implements pflag.Value.
func (d *duration) Set(text string) error {
	var sum time.Duration
	rest := text
	for m := longUnit.FindStringSubmatch(rest); m != nil; m = longUnit.FindStringSubmatch(rest) {
		n, _ := strconv.Atoi(m[1])
		unit := 24 * time.Hour
		if m[2] == "w" {
			unit *= 7
		}
		if time.Duration(n) > (1<<63-1-sum)/unit {
			return fmt.Errorf("%q is too long", text)
		}
		sum += time.Duration(n) * unit
		rest = rest[len(m[0]):]
	}
	if rest == "" && text != "" {
		*d = duration(sum)
		return nil
	}
	short, err := time.ParseDuration(rest)
	if err != nil || sum > 0 && (short < 0 || strings.HasPrefix(rest, "+")) || sum+short < sum && sum > 0 {
		return fmt.Errorf("%q is not a duration such as 90m, 12h or 7d", text)
	}
	*d = duration(sum + short)
	return nil
}

func (d *duration) String() string {
	if *d == 0 {
		return "0s"
	}
	return time.Duration(*d).String()
}

// Type implements pflag.Value.
func (*duration) Type() string { return "duration" }
