package memory

import (
	"strconv"
	"strings"
)

// Size formats bytes for people, as 900 B, 1.5 KiB or 64 MiB: to one decimal, with
// prefixes that are powers of 1024. All that the program prints has this form.
func Size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v := float64(n) / 1024
	for v >= 1023.95 && len(units) > 1 { // which would be written as 1024
		v, units = v/1024, units[1:]
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " " + units[0]
}
