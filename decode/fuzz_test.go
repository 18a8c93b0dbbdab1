package decode

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// FuzzValue feeds arbitrary bytes to every decoder: none may panic or allocate
// more than its budget allows, and what comes out must be valid JSON of bounded
// size.
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
		value = slices.Clip(value) // what reads beyond its end shall panic
		h := Hints{Key: []byte("validity:k"), Flags: flags}
		for _, format := range append(Formats(), "") {
			checkWithin(t, Format(format), value, h)
		}
	})
}

// shownBytes is what the text or hex of an undecoded value takes: made from
// MaxText bytes that may all become three, or MaxHex that become two.
const shownBytes = 4*MaxText + 4*MaxHex

// checkWithin decodes a value and checks that what was allocated really is
// what the budget says, and no more than it had.
func checkWithin(t *testing.T, format Format, value []byte, h Hints) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b := newBudget(t.Context())
	view, err := b.as(format, value, h)
	runtime.ReadMemStats(&after)
	if err == nil {
		check(t, view)
	}
	if b.memory < 0 || b.steps < 0 {
		t.Errorf("%q spent %d bytes and %d steps too much", format, -b.memory, -b.steps)
	}
	const slack = 512 << 10 // of the runtime, and what decompressors keep for the next value
	allocated, paid := int(after.TotalAlloc-before.TotalAlloc), MaxMemory-b.memory
	if allocated > paid+paid/2+shownBytes+slack {
		t.Errorf("%q allocated %d bytes and paid for %d", format, allocated, paid)
	}
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
	if len(v.Value) > MaxMemory {
		t.Errorf("%s gave %d bytes", v.Format, len(v.Value))
	}
	if _, err := json.Marshal(v); err != nil {
		t.Errorf("%s: %v", v.Format, err)
	}
}
