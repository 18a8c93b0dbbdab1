package owner

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
)

// benchValue is a session of about 2 KB of Laravel's kind, in which the owner comes
// last.
func benchPHP() []byte {
	var b bytes.Buffer
	b.WriteString(`_token|s:40:"abcdefghijklmnopqrstuvwxyzabcdefghijklmn";cart|a:20:{`)
	for i := range 20 {
		fmt.Fprintf(&b, `i:%d;a:3:{s:3:"sku";s:9:"A-%07d";s:1:"n";i:%d;s:5:"title";s:24:"A thing of a shop number";}`, i, i, i)
	}
	b.WriteString(`}user_id|i:4711;`)
	return b.Bytes()
}

func benchJSON() []byte {
	var b bytes.Buffer
	b.WriteString(`{"cookie":{"originalMaxAge":3600000,"httpOnly":true,"path":"/"},"cart":[`)
	for i := range 24 {
		fmt.Fprintf(&b, `{"sku":"A-%07d","n":%d,"title":"A thing of a shop, number %d"},`, i, i, i)
	}
	b.WriteString(`null],"passport":{"user":4711}}`)
	return b.Bytes()
}

// phpFlagged is a value as php-memcached compresses it.
func phpFlagged(packed []byte, size int) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(size)), packed...)
}

var benchCases = []struct {
	name  string
	value func(testing.TB) ([]byte, uint32)
	path  string
}{
	{"json", func(testing.TB) ([]byte, uint32) { return benchJSON(), 0 }, "json: passport.user"},
	{"php", func(testing.TB) ([]byte, uint32) { return benchPHP(), 0 }, "php: user_id"},
	{"php miss", func(testing.TB) ([]byte, uint32) { return benchPHP(), 0 }, "php: nobody"},
	{"php zlib", func(t testing.TB) ([]byte, uint32) {
		return phpFlagged(zlibbed(t, benchPHP()), len(benchPHP())), phpCompressed | phpZlib
	}, "php: user_id"},
	{"php zstd", func(t testing.TB) ([]byte, uint32) { return zstandard(t, benchPHP()), 0 }, "php: user_id"},
	{"fastlz", goldenFile("../decode/testdata/memcached_fastlz.84.bin", 84), "php: n"},
	{"symfony", goldenFile("testdata/symfony_php.bin", 0), "php: _sf2_attributes._security_*~**.username"},
	{"pickle", goldenFile("../decode/testdata/pickle4.bin", 0), "pickle: b[0]"},
	{"marshal", goldenFile("../decode/testdata/marshal.bin", 0), "marshal: default.k"},
	{"igbinary", goldenFile("../decode/testdata/igbinary.bin", 0), "igbinary: ref1"},
	{"msgpack", goldenFile("testdata/flask_msgpack.bin", 0), "msgpack: _user_id"},
	{"java", goldenFile("../decode/testdata/java.bin", 0), "java: concurrent.k"},
	{"msm", goldenFile("../decode/testdata/msm.bin", 0), "msm: principal"},
}

func goldenFile(name string, flags uint32) func(testing.TB) ([]byte, uint32) {
	return func(t testing.TB) ([]byte, uint32) {
		value, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return value, flags
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range benchCases {
		value, flags := c.value(b)
		paths := []Path{mustPath(b, c.path)}
		dst := make([]byte, 0, 64)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.ReportMetric(float64(len(value)), "bytes")
			for b.Loop() {
				Append(dst, value, flags, paths)
			}
		})
	}
}

// TestAllocations holds Append to allocating nothing, whatever the format, and Find
// where the id is a part of the value.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	for _, c := range benchCases {
		value, flags := c.value(t)
		paths := []Path{mustPath(t, c.path)}
		dst := make([]byte, 0, 64)
		if _, ok := Append(dst, value, flags, paths); ok == (c.name == "php miss") {
			t.Errorf("%s: found %v", c.name, ok)
		}
		if n := testing.AllocsPerRun(1000, func() { Append(dst, value, flags, paths) }); n >= 1 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
	value := []byte(`{"user":"alice"}`)
	paths := []Path{mustPath(t, "json: user")}
	if n := testing.AllocsPerRun(1000, func() { Find(value, 0, paths) }); n >= 1 {
		t.Errorf("Find makes %v allocations", n)
	}
}
