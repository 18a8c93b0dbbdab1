package codec

import (
	"errors"
	"testing"

	"cairn/session"
)

// wantUnknown checks that err says what was not known.
func wantUnknown(t *testing.T, err error, what string, value uint64) {
	t.Helper()
	var unknown *UnknownError
	if !errors.As(err, &unknown) || unknown.What != what || unknown.Value != value {
		t.Errorf("error %v, want an unknown %s %d", err, what, value)
	}
}

func TestUnknownIsNotEncoded(t *testing.T) {
	for _, c := range []struct {
		command session.Command
		what    string
		value   uint64
	}{
		{session.Command{Op: 0}, "op", 0},
		{session.Command{Op: session.OpFlush + 1}, "op", uint64(session.OpFlush + 1)},
		{session.Command{Op: session.OpAdopt - 1}, "op", uint64(session.OpAdopt - 1)},
		{session.Command{Op: session.OpAdopt + 1}, "op", uint64(session.OpAdopt + 1)},
		{session.Command{Op: session.OpGet, Mods: 2 * session.NoClaim}, "modifier", uint64(2 * session.NoClaim)},
	} {
		b := session.Burst{Commands: []session.Command{{Op: session.OpGet, Key: []byte("k")}, c.command}}
		dst, err := AppendBurst([]byte("x"), &b, 1)
		wantUnknown(t, err, c.what, c.value)
		if string(dst) != "x" {
			t.Errorf("%q was written", dst)
		}
		wantUnknown(t, Check(&b, 1), c.what, c.value)
	}
	_, err := AppendBurst(nil, new(session.Burst), Latest+1)
	wantUnknown(t, err, "level", uint64(Latest+1))
}

func TestUnknownIsNotDecoded(t *testing.T) {
	var b session.Burst
	for _, c := range []struct {
		data  string
		what  string
		value uint64
	}{
		{"\x00\x00\x00\x00\x00", "level", 0},
		{"\x03\x00\x00\x00\x00", "level", 3}, // though all of it could be read
		{"\x01\x00\x00\x00\x01\x0c\x00\x00\x00", "op", 12},
		{"\x01\x00\x00\x00\x01\xff\x00\x00\x00", "op", 255},
		{"\x01\x00\x00\x00\x01\x01\x80\x04\x00\x00", "modifier", 512},
		{"\x02\x00\x00\x00\x01\x01\x80\x10\x00\x00", "modifier", 2048},
	} {
		_, err := DecodeBurst([]byte(c.data), &b)
		wantUnknown(t, err, c.what, c.value)
		if len(b.Commands) > 0 {
			t.Errorf("%q left %d commands", c.data, len(b.Commands))
		}
	}
	b = session.Burst{Commands: []session.Command{{Op: session.OpGet, Key: []byte("k")}}}
	for _, c := range []struct {
		data  string
		what  string
		value uint64
	}{
		{"\x03\x00\x01\x01\x00", "level", 3},
		{"\x01\x00\x01\x00\x00", "status", 0},
		{"\x01\x00\x01\x08\x00", "status", 8},
		{"\x02\x00\x01\x09\x00", "status", 9},
		{"\x01\x00\x01\x07\x00\xc8\x00", "error", 200},
	} {
		_, err := DecodeResults([]byte(c.data), &b)
		wantUnknown(t, err, c.what, c.value)
	}
}

// TestOneForm lists bytes that could be read, but are not what an encoder
// writes: they must be refused, or two nodes would differ on what was said.
func TestOneForm(t *testing.T) {
	for name, data := range map[string]string{
		"bits without a meaning":         "\x01\x02\x00\x00\x00",
		"a long number":                  "\x01\x00\x80\x00\x00\x00",
		"a field of 0":                   "\x01\x00\x00\x00\x01\x01\x00\x04\x00\x00",
		"an instant of 0":                "\x01\x00\x00\x00\x01\x01\x00\x02\x00\x00",
		"flags of more than 32 bits":     "\x01\x00\x00\x00\x01\x01\x00\x01\x00\x80\x80\x80\x80\x10",
		"an empty value":                 "\x01\x00\x00\x00\x01\x03\x00\x80\x04\x00\x00",
		"a value and a frame":            "\x01\x00\x00\x00\x01\x03\x00\x80\x0c\x00\x01v\x01\x00\x01\x01f",
		"a frame without a codec":        "\x01\x00\x00\x00\x01\x03\x00\x80\x08\x00\x00\x00\x01\x01f",
		"fields without a meaning":       "\x01\x00\x00\x00\x01\x03\x00\x80\x10\x00\x02",
		"fields that level 2 lacks":      "\x02\x00\x00\x00\x01\x03\x00\x80\x80\x02\x00\x02",
		"born at 0":                      "\x02\x00\x00\x00\x01\x03\x00\x80\x80\x01\x00\x00",
		"a limit of 0":                   "\x02\x00\x00\x00\x01\x03\x00\x80\x40\x00\x00",
		"an owner of no bytes":           "\x02\x00\x00\x00\x01\x03\x00\x80\x20\x00\x00",
		"created at 0":                   "\x02\x00\x00\x00\x01\x03\x00\x80\x10\x00\x00",
		"a largest value beyond 32 bits": "\x01\x00\x00\x80\x80\x80\x80\x10\x00",
	} {
		if _, err := DecodeBurst([]byte(data), new(session.Burst)); err != ErrMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string]string{
		"two results for one command": "\x01\x00\x02\x01\x00\x01\x00",
		"no results":                  "\x01\x00\x00",
		"an empty value":              "\x01\x00\x01\x01\x20\x00",
		"a failure without a reason":  "\x01\x00\x01\x07\x00\x00\x00",
		"a reason of broken text":     "\x01\x00\x01\x07\x00\x01\x01\xff",
		"a reason, but no failure":    "\x01\x00\x01\x01\x00\x01\x00",
		"fields without a meaning":    "\x01\x00\x01\x01\x80\x20\x02",
		"fields that level 2 lacks":   "\x02\x00\x01\x01\x80\x80\x02\x02",
		"born at its version":         "\x02\x00\x01\x01\x80\x80\x01\x00",
	} {
		b := session.Burst{Commands: []session.Command{{Op: session.OpGet, Key: []byte("k")}}}
		if _, err := DecodeResults([]byte(data), &b); err != ErrMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForeignResults refuses to send results that the reader would understand
// differently.
func TestForeignResults(t *testing.T) {
	for name, r := range map[string]session.Result{
		"another key":                {Status: session.OK, Item: session.Item{Key: []byte("other")}},
		"a failure without a reason": {Status: session.Failed},
		"a reason, but no failure":   {Status: session.OK, Err: session.ErrClosed},
	} {
		b := session.Burst{Commands: []session.Command{{Op: session.OpGet, Key: []byte("k")}}, Results: []session.Result{r}}
		if dst, err := AppendResults([]byte("x"), &b, Latest); !errors.Is(err, errForeign) || string(dst) != "x" {
			t.Errorf("%s: %q, %v", name, dst, err)
		}
	}
	b := session.Burst{Commands: []session.Command{{Op: session.OpGet, Key: []byte("k")}}}
	if _, err := AppendResults(nil, &b, Latest); !errors.Is(err, errForeign) {
		t.Errorf("no results: %v", err)
	}
}
