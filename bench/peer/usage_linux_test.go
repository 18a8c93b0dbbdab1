package peer

import "testing"

func TestSectorsWritten(t *testing.T) {
	n, err := sectorsWritten("   59310    16187  4713810    30417   124530   158062 18253312   222846        0    80380   253264     0 0 0 0 0 0\n")
	if want := int64(18253312 * 512); n != want || err != nil {
		t.Errorf("%d, %v; want %d", n, err, want)
	}
	for _, bad := range []string{"", "1 2 3 4 5 6", "1 2 3 4 5 6 x"} {
		if _, err := sectorsWritten(bad); err == nil {
			t.Errorf("%q is taken for statistics", bad)
		}
	}
}
