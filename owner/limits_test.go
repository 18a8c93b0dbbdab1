package owner

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestLimits feeds values that would take more work than their size suggests.
func TestLimits(t *testing.T) {
	laughs := "\x80\x04](e" // each level refers twice to the one before
	for i := range 40 {
		laughs += fmt.Sprintf("q%c0](h%[1]ch%[1]ce", byte(i))
	}
	for path, value := range map[string]string{
		"json: **.x":     strings.Repeat(`{"x":`, 1000) + `"deep"`,
		"php: **.x":      strings.Repeat(`a:1:{s:1:"x";`, 1000) + `s:4:"deep";`,
		"php: *":         `a:99999999:{i:0;N;}`,
		"marshal: **.x":  "\x04\x08" + strings.Repeat("{\x06:\x06x", 1000) + `"` + "\x06y",
		"msgpack: **.x":  strings.Repeat("\x81\xa1x", 1000) + "\xa1y",
		"msgpack: *.x":   "\xdd\xff\xff\xff\xff",
		"igbinary: **.x": "\x00\x00\x00\x02" + strings.Repeat("\x14\x01\x11\x01x", 1000) + "\x11\x01y",
		"pickle: *.*":    laughs + ".",
		"java: *":        "\xac\xed\x00\x05ur\x00\x02[I\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00xp\x7f\xff\xff\xff",
		"json: id":       `{"id":"` + strings.Repeat("x", MaxID+1) + `"}`,
		"json: far":      `{"x":"` + strings.Repeat("x", MaxInput) + `","far":"1"}`,
	} {
		if id, ok := Find([]byte(value), 0, []Path{mustPath(t, path)}); ok {
			t.Errorf("%s found %q", path, id)
		}
	}
}

// TestWrapped unwraps what clients and their libraries compress, up to three times.
func TestWrapped(t *testing.T) {
	value := []byte(`user_id|i:4711;text|s:9000:"` + strings.Repeat("x", 9000) + `";`)
	paths := []Path{mustPath(t, "php: user_id")}
	long := append(bytes.Clone(value), bytes.Repeat([]byte(`n|i:1;`), MaxInput)...)
	for name, packed := range map[string][]byte{
		"gzip":               gzipped(t, value),
		"zlib":               zlibbed(t, value),
		"zstd":               zstandard(t, value),
		"twice":              gzipped(t, zlibbed(t, value)),
		"three times":        zstandard(t, gzipped(t, zlibbed(t, value))),
		"more than MaxInput": gzipped(t, long),
	} {
		if id, ok := Find(packed, 0, paths); string(id) != "4711" || !ok {
			t.Errorf("%s: %q, %v", name, id, ok)
		}
	}
	for name, packed := range map[string][]byte{
		"four times": gzipped(t, zstandard(t, gzipped(t, zlibbed(t, value)))),
		"cut gzip":   gzipped(t, value)[:40],
		"cut zlib":   zlibbed(t, value)[:40],
		"cut zstd":   zstandard(t, value)[:30],
	} {
		if id, ok := Find(packed, 0, paths); ok {
			t.Errorf("%s: %q", name, id)
		}
	}
}

func gzipped(t testing.TB, value []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(value)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zlibbed(t testing.TB, value []byte) []byte {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	w.Write(value)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zstandard(t testing.TB, value []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(value, nil)
}

// TestConcurrent searches different values at once: none may see another's memory.
func TestConcurrent(t *testing.T) {
	paths := []Path{mustPath(t, `json: "a\\b"`), mustPath(t, "php: n")}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			want := fmt.Sprint(1000 + i)
			values := [][]byte{
				fmt.Appendf(nil, `{"a\\b":"%s\u0041"}`, want),
				gzipped(t, fmt.Appendf(nil, "n|i:%s;", want)),
			}
			for range 2000 {
				for j, value := range values {
					id, _ := Find(value, 0, paths)
					if got := strings.TrimSuffix(string(id), "A"); got != want {
						t.Errorf("value %d: %q, not %q", j, id, want)
					}
				}
			}
		})
	}
	wait.Wait()
}

// TestPlainLength finds the end of a text wherever it stands.
func TestPlainLength(t *testing.T) {
	for _, end := range []string{`"`, `\`, ""} {
		for n := range 40 {
			text := strings.Repeat("\x21\xa2\xdc", 20)[:n] + end
			if end != "" {
				text += `"\ more`
			}
			if got := plainLength([]byte(text)); got != n {
				t.Errorf("%d bytes before %q: %d", n, end, got)
			}
		}
	}
}

// TestMSMNumber finds attributes up to the number that stands before them, and none
// where that is no number.
func TestMSMNumber(t *testing.T) {
	value, err := os.ReadFile(filepath.FromSlash("../decode/testdata/msm.bin"))
	if err != nil {
		t.Fatal(err)
	}
	paths := []Path{mustPath(t, "msm: attributes.cart[1]")}
	number := bytes.Index(value, []byte("\x00\x00\x00\x02t\x00\x04user"))
	for n, want := range []string{"", "", "y", "y"} {
		value[number+3] = byte(n)
		if id, ok := Find(value, 0, paths); string(id) != want || ok != (want != "") {
			t.Errorf("%d attributes: %q, %v, not %q", n, id, ok, want)
		}
	}
	for _, first := range []string{"p", "t\x00\x012"} { // null, a text
		attributes := "\xac\xed\x00\x05" + first + string(value[number+4:])
		length := int(binary.BigEndian.Uint16(value[2:]))
		if id, ok := Find(append(value[:length:length], attributes...), 0, paths); ok {
			t.Errorf("behind %q: %q", first, id)
		}
	}
}
