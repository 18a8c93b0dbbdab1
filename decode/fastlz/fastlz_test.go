package fastlz

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestAppend decompresses what php-memcached compressed, and appends it.
func TestAppend(t *testing.T) {
	value, err := os.ReadFile("../testdata/memcached_fastlz.84.bin")
	if err != nil {
		t.Fatal(err)
	}
	packed := value[4:] // behind the length
	text := strings.Repeat("session data, ", 400)
	out, err := Append(append(make([]byte, 0, 8192), "before "...), packed)
	if err != nil || !strings.HasPrefix(string(out), "before a:2:{") || !strings.Contains(string(out), text) {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	out, err = Append(make([]byte, 0, 100), packed)
	if !errors.Is(err, ErrFull) || len(out) != 100 || !strings.HasPrefix(string(out), "a:2:{") {
		t.Errorf("into 100 bytes: %d, %v", len(out), err)
	}
	for n := range packed {
		if out, err := Append(make([]byte, 0, 8192), packed[:n]); err == nil && len(out) > 8192 {
			t.Errorf("%d bytes of it gave %d", n, len(out))
		}
	}
}

// TestInvalid feeds data that refers to what is not there, or is of no level.
func TestInvalid(t *testing.T) {
	for _, data := range []string{"", "\x40a", "\x00", "\x01a", "\x00a\x20", "\x00a\x20\x01", "\x20a\xe0", "\x20a\xe0\xff"} {
		dst := []byte("earlier")
		out, err := Append(append(make([]byte, 0, 100), dst...), []byte(data))
		if !errors.Is(err, ErrInvalid) || !strings.HasPrefix(string(out), "earlier") {
			t.Errorf("%q: %q, %v", data, out, err)
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte("\x02abc\x20\x02"), 100)
	f.Fuzz(func(t *testing.T, data []byte, room int) {
		room = max(0, min(room, 1<<16))
		out, err := Append(make([]byte, 0, room), data)
		if len(out) > room || errors.Is(err, ErrFull) && len(out) != room {
			t.Errorf("%d bytes into %d, %v", len(out), room, err)
		}
	})
}
