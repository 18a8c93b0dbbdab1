package decode

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzValue feeds arbitrary bytes to every decoder: none may panic, and what
// comes out must be valid JSON of bounded size.
func FuzzValue(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.bin")
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value, hintsOf(filepath.Base(file)).Flags)
	}
	f.Add([]byte("\x80\x02]q\x00(h\x00h\x00e."), uint32(0))
	f.Add([]byte("\x04\x08[\x07@\x00@\x00"), uint32(0))
	f.Fuzz(func(t *testing.T, value []byte, flags uint32) {
		h := Hints{Key: []byte("validity:k"), Flags: flags}
		check(t, Value(value, h))
		for _, d := range decoders {
			if view, err := As(d.format, value, h); err == nil {
				check(t, view)
			}
		}
	})
}

func check(t *testing.T, v View) {
	t.Helper()
	set := 0
	for _, is := range []bool{v.Value != nil, v.Format == Text, v.Format == Hex} {
		if is {
			set++
		}
	}
	if set != 1 {
		t.Errorf("%d of value, text and hex are set in %+v", set, v)
	}
	if v.Value != nil && !json.Valid(v.Value) {
		t.Errorf("%s gave invalid JSON %q", v.Format, v.Value)
	}
	if len(v.Value) > 16*MaxOutput {
		t.Errorf("%s gave %d bytes", v.Format, len(v.Value))
	}
	if _, err := json.Marshal(v); err != nil {
		t.Errorf("%s: %v", v.Format, err)
	}
}
