package decode

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValueRecognises(t *testing.T) {
	packed := func(s string) string {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		w.Write([]byte(s))
		w.Close()
		return buf.String()
	}
	for _, c := range []struct{ value, format, shown string }{
		{"", "text", ""},
		{"hello", "text", "hello"},
		{"123", "text", "123"},
		{"a|b", "text", "a|b"},
		{"line\nline", "text", "line\nline"},
		{"\x00\x01", "hex", "0001"},
		{"\xff\xfe", "hex", "fffe"},
		{` {"a": [1, 2.50]} `, "json", `{"a":[1,2.50]}`},
		{"{\"a\": \"\xff\"}", "hex", "7b2261223a2022ff227d"},
		{packed(`{"a":1}`), "json", `{"a":1}`},
		{packed("plain"), "text", "plain"},
		{"i:5;", "php", "5"},
		{"b:1;trailing", "text", "b:1;trailing"},
		{`a:1:{i:0;R:1;}`, "php", `[{"@ref":"$"}]`},
		{`S:2:"\41b";`, "php", `"Ab"`},
		{"x|i:1;!y|z|N;", "php_session", `{"x":1,"y":null,"z":null}`},
		{"\x85\x01", "hex", "8501"},
		{"\x81\xa1a\x01", "msgpack", `{"a":1}`},
		{"\x04\x08I\"\x06a\x06:\x06ET", "marshal", `"a"`},
		{"\x80\x04N.", "pickle", "null"},
		{"cos\nsystem\n(S'ls'\ntR.", "text", "cos\nsystem\n(S'ls'\ntR."},
		{"(cos\nsystem\n(S'ls'\ntR.", "pickle", `{"@class":"os.system","@args":["ls"]}`},
	} {
		v := mustValue(t, []byte(c.value), Hints{Key: []byte("k")})
		if shown := string(v.Value) + v.Text + v.Hex; string(v.Format) != c.format || shown != c.shown {
			t.Errorf("%q is %s %q, want %s %q", c.value, v.Format, shown, c.format, c.shown)
		}
	}
}

// TestLimits feeds values that would need far more work or memory than their
// size suggests.
func TestLimits(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	w.Write(make([]byte, MaxInput+1))
	w.Close()

	// Each level refers twice to the one before: 2^40 nodes if followed.
	laughs := "\x80\x04](e" // an empty list
	for i := range 40 {
		laughs += fmt.Sprintf("q%c0](h%[1]ch%[1]ce", byte(i))
	}
	laughs += "."

	for name, value := range map[string]string{
		"decompression bomb": bomb.String(),
		"deep PHP":           strings.Repeat("a:1:{i:0;", 5000) + "N;" + strings.Repeat("}", 5000),
		"deep MessagePack":   strings.Repeat("\x91", 5000) + "\x01",
		"deep Marshal":       "\x04\x08" + strings.Repeat("[\x06", 5000) + "0",
		"PHP count":          `a:9999999999:{i:0;i:1;}`,
		"MessagePack count":  "\xdd\xff\xff\xff\xff",
		"Java array count":   "\xac\xed\x00\x05ur\x00\x02[I\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00xp\x7f\xff\xff\xff",
		"wide pickle":        "\x80\x04(" + strings.Repeat("N", 200_001) + "l.",
		"long integer":       "\x80\x04\x8b\x00\x00\x01\x00" + strings.Repeat("\x7f", 1<<16) + ".",
	} {
		if v := mustValue(t, []byte(value), Hints{}); v.Value != nil {
			t.Errorf("%s was decoded as %s", name, v.Format)
		}
	}
	if v := mustValue(t, []byte(laughs), Hints{}); v.Format != Pickle || len(v.Value) > 1<<16 {
		t.Errorf("shared lists gave %s of %d bytes", v.Format, len(v.Value))
	}
}

// TestShort feeds the beginnings of values of all formats, with nothing behind them.
func TestShort(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n := range min(len(value), 64) {
			for _, format := range Formats() {
				As(t.Context(), Format(format), value[:n:n], Hints{})
			}
		}
	}
}

func TestAs(t *testing.T) {
	if _, err := As(t.Context(), "no such format", nil, Hints{}); err == nil {
		t.Error("an unknown format was accepted")
	}
	if _, err := As(t.Context(), Java, []byte("text"), Hints{}); err == nil {
		t.Error("text was read as Java")
	}
	if v, err := As(t.Context(), Hex, []byte("ab"), Hints{}); err != nil || v.Hex != "6162" {
		t.Errorf("hex is %q, %v", v.Hex, err)
	}
	if v, err := As(t.Context(), Text, []byte("a\x00b\xff"), Hints{}); err != nil || v.Text != "a\x00b\uFFFD" {
		t.Errorf("text is %q, %v", v.Text, err)
	}
	long := bytes.Repeat([]byte{0xff}, MaxHex+1)
	if v := mustValue(t, long, Hints{}); !v.Truncated || len(v.Hex) != 2*MaxHex {
		t.Errorf("%d digits, truncated %v", len(v.Hex), v.Truncated)
	}
}

// mustValue is Value for a context that does not end.
func mustValue(t *testing.T, value []byte, h Hints) View {
	t.Helper()
	v, err := Value(t.Context(), value, h)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
