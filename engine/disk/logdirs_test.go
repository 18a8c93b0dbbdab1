package disk

import (
	"slices"
	"testing"
)

func TestParseLogDirs(t *testing.T) {
	l := logDirs{store: "ABC", dirs: []string{"/one", "/two words"}}
	parsed, err := parseLogDirs(l.append(nil))
	if err != nil || parsed.store != l.store || !slices.Equal(parsed.dirs, l.dirs) {
		t.Errorf("%+v, %v", parsed, err)
	}
	const written = "cairn logs 1\nstore ABC\ndir /one\ndir /two words\n"
	if text := string(l.append(nil)); text != written {
		t.Errorf("written %q, and earlier %q", text, written)
	}
	for _, text := range []string{
		"", "cairn logs 2\nstore ABC\n", "cairn logs 1\n", "cairn logs 1\ndir /one\n", "cairn logs 1\nstore ABC\nstore DEF\n",
		"cairn logs 1\nstore ABC\nelse\n", "cairn logs 1\nstore ABC\ndir \n", "cairn logs 1\nstore \n",
	} {
		if l, err := parseLogDirs([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, l)
		}
	}
}
