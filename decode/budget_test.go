package decode

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func gzipped(t testing.TB, s string) string {
	t.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(s))
	w.Close()
	return buf.String()
}

func zlibbed(t testing.TB, s string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	w.Write([]byte(s))
	w.Close()
	return buf.String()
}

func zstded(t testing.TB, s string, options ...zstd.EOption) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

// nestedPHP is n empty arrays within 61 arrays that have keys of 64 bytes.
func nestedPHP(n int, inner string) string {
	var b strings.Builder
	for range 61 {
		fmt.Fprintf(&b, `a:1:{s:64:"%s";`, strings.Repeat("k", 64))
	}
	fmt.Fprintf(&b, "a:%d:{", n)
	for i := range n {
		fmt.Fprintf(&b, "i:%d;%s", i, inner)
	}
	return b.String() + strings.Repeat("}", 62)
}

func le32(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
func be32(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
func be16(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }

// javaLineage is n objects of a class with 60 ancestors.
func javaLineage(n int) string {
	var b strings.Builder
	b.WriteString("\xac\xed\x00\x05sr")
	for i := range 60 {
		if i > 0 {
			b.WriteString("r")
		}
		b.WriteString("\x00\x01c01234567\x02\x00\x00x")
	}
	b.WriteString("p")
	for range n {
		b.WriteString("sq\x00\x7e\x00\x00")
	}
	return b.String()
}

// pickled is a pickle that keeps text as memo 0 and then repeats the program.
func pickled(text, program string, n int) string {
	return "\x80\x04X" + le32(len(text)) + text + "q\x000" + strings.Repeat(program, n) + "]."
}

// costly are values that made a naive decoder take far more memory or time than
// their size suggests.
func costly(t testing.TB) map[string]string {
	mega := strings.Repeat("m", 1<<20)
	nested := nestedPHP(190_000, "a:0:{}")
	random := strings.Repeat("0123456789abcdef\xff\xfe", MaxInput/20)
	return map[string]string{
		"nested PHP":                nested,
		"nested PHP, twice gzipped": gzipped(t, gzipped(t, nested)),
		"PHP references":            nestedPHP(200_000, "R:1;"),
		"PHP references with paths": nestedPHP(200_000, "R:60;"),
		"PHP integers":              "a:300000:{" + strings.Repeat("i:1;i:1000;", 300_000) + "}",
		"PHP session":               strings.Repeat("x|N;", MaxInput/4),
		"PHP session without end":   strings.Repeat("x|", MaxInput/2),
		"PHP binary":                strings.Repeat("\x81x", MaxInput/2),
		"PHP equal keys":            "a:15:{" + strings.Repeat(`s:200000:"`+mega[:200_000]+`";N;`, 15) + "}",

		"Java lineage":          javaLineage(500_000),
		"Java proxy":            "\xac\xed\x00\x05}" + be32(1<<20) + strings.Repeat("\x00\x00", 1<<20),
		"Java interface names":  "\xac\xed\x00\x05}" + be32(2000) + strings.Repeat(be16(2000)+mega[:2000], 2000),
		"Java characters":       "\xac\xed\x00\x05ur\x00\x02[C01234567\x02\x00\x00xp" + be32(1<<20) + strings.Repeat("\x00a", 1<<20),
		"Java odd text":         "\xac\xed\x00\x05|\x00\x00\x00\x00" + be32(1<<21) + strings.Repeat("\xc0\x80", 1<<20),
		"Java blocks":           "\xac\xed\x00\x05" + strings.Repeat("w\x00", MaxInput/2-4),
		"MSM text":              "\x00\x01\x00\x36" + strings.Repeat("\x00", 50) + strings.Repeat("abcd\x00", MaxInput/5-20),
		"Marshal symbols":       "\x04\x08[\x03\xff\xff\x0f" + strings.Repeat(":\x06a", 0xfffff),
		"Marshal long integers": "\x04\x08[\x02\xd0\x07" + strings.Repeat("l+\x02\xf4\x01"+mega[:1000], 4000),

		"pickle names":         pickled(mega, "h\x00h\x00\x930", 100_000),
		"pickle Latin-1":       pickled(mega, "c_codecs\nencode\nh\x00\x8c\x06latin1\x86R0", 100_000),
		"pickle state":         "\x80\x04}(" + strings.Repeat("NN", 50_000) + "uq\x000cm\nn\n)R" + strings.Repeat("h\x00b", 500_000) + ".",
		"pickle marks":         "\x80\x04" + strings.Repeat("(", MaxInput-10) + "N.",
		"pickle memo":          "\x80\x04N" + strings.Repeat("\x94", MaxInput-10) + ".",
		"pickle tuples":        "\x80\x04N" + strings.Repeat("\x85", MaxInput-10) + ".",
		"pickle long integers": "\x80\x04](" + strings.Repeat("\x8b"+le32(1000)+mega[:1000], 4000) + "e.",
		"pickle long repeated": "\x80\x04\x8b" + le32(1000) + mega[:1000] + "q\x000](" + strings.Repeat("h\x00", MaxInput/4) + "e.",
		"pickle decimals":      "\x80\x04](" + strings.Repeat("L"+strings.Repeat("7", 1000)+"L\n", 4000) + "e.",
		"pickle floats":        "\x80\x04](" + strings.Repeat("F"+strings.Repeat("7", 1000)+"\n", 4000) + "e.",
		"pickle quotes":        "\x80\x04S'" + strings.Repeat(`\'"`, MaxInput/4) + "'\n.",
		"pickle Unicode":       "\x80\x04V" + strings.Repeat(`\u00e9`, MaxInput/6-10) + "\n.",
		"pickle text repeated": "\x80\x04X" + le32(1<<20) + random[:1<<20] + "q\x000](" + strings.Repeat("h\x00", MaxInput/4) + "e.",

		"MessagePack nothing":  "\xdd" + be32(MaxInput-5) + strings.Repeat("\xc0", MaxInput-5),
		"MessagePack maps":     "\xdd" + be32(MaxInput-5) + strings.Repeat("\x80", MaxInput-5),
		"MessagePack list key": "\xdf" + be32(MaxInput/2-5) + strings.Repeat("\x90\xc0", MaxInput/2-5),
		"igbinary strings":     "\x00\x00\x00\x02\x16" + be32(MaxInput/8) + strings.Repeat("\x06\x01\x11\x00", MaxInput/4-4),
		"igbinary properties":  "\x00\x00\x00\x02\x17\x01c\x16" + be32(300_000) + "\x13" + be32(1<<20+3) + "\x00" + mega + "\x00p\x00" + strings.Repeat("\x0e\x01\x00", 299_999),

		"JSON space":       "[" + strings.Repeat(" ", MaxInput-2) + "]",
		"JSON nested":      strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"JSON lists":       "[" + strings.Repeat("[],", MaxInput/3-2) + "[]]",
		"JSON open":        strings.Repeat("[1,", MaxInput/3),
		"JSON text":        `"` + strings.Repeat(`\u0041`, MaxInput/6-2) + `"`,
		"Django colons":    strings.Repeat(":", MaxInput),
		"base64":           strings.Repeat("QUFB", MaxInput/4),
		"Django zlib":      "." + base64.RawURLEncoding.EncodeToString([]byte(zlibbed(t, strings.Repeat("[", MaxInput)))) + ":1:" + strings.Repeat("s", 43),
		"text":             strings.Repeat("é", 8<<20),
		"bytes":            random,
		"gzip":             gzipped(t, strings.Repeat("\x00", 16<<20)),
		"gzip four times":  gzipped(t, gzipped(t, gzipped(t, gzipped(t, strings.Repeat("\x00", MaxInput))))),
		"gzip members":     strings.Repeat(gzipped(t, ""), MaxInput/23-1),
		"zlib":             zlibbed(t, strings.Repeat("\x00", 16<<20)),
		"zlib empty":       "\x78\x9c" + strings.Repeat("\x00\x00\x00\xff\xff", MaxInput/5-1),
		"zstd":             zstded(t, strings.Repeat("\x00", 16<<20)),
		"zstd of no size":  zstdStream(t, 16<<20),
		"zstd frames":      strings.Repeat(zstded(t, "", zstd.WithZeroFrames(true)), MaxInput/16),
		"zstd wide window": "\x28\xb5\x2f\xfd\x00\xb8\x01\x00\x00",
	}
}

func zstdStream(t testing.TB, n int) string {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, n))
	w.Close()
	return buf.String()
}

// TestBudget decodes costly values: what is allocated is paid for, and
// neither memory nor steps go beyond the budget.
func TestBudget(t *testing.T) {
	for name, value := range costly(t) {
		t.Run(name, func(t *testing.T) {
			checkWithin(t, "", []byte(value), Hints{})
		})
	}
}

// BenchmarkCostly measures what the whole budget takes.
func BenchmarkCostly(b *testing.B) {
	for name, value := range costly(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				budget := newBudget(b.Context())
				if _, err := budget.as("", []byte(value), Hints{}); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(MaxSteps-budget.steps), "steps/op")
			}
		})
	}
}

// TestContextEnds decodes for a client that has gone.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBudget(ctx)
	b.look = MaxSteps - contextSteps
	cancel()
	if _, err := b.as("", []byte(nestedPHP(100_000, "a:0:{}")), Hints{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if spent := MaxSteps - b.steps; spent > 4*contextSteps {
		t.Errorf("%d steps were taken after the context ended", spent)
	}
}
