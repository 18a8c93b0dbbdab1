package owner

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fuzzFormat feeds arbitrary values in one format and arbitrary paths to Find, and
// compares what it finds with the tree of package decode: the same, or nothing.
func fuzzFormat(f *testing.F, name string, files ...string) {
	paths := []string{
		"id", "user", "n.a", "list[2][0]", "cart.items[1]", "map.5", "*", "**.x", "**.items.*", "u*r", "*e", `""`,
		"cart.**.owner", "~user", "attributes.user", "principal", `cart."@items"[0]`, "b[0]", "tuple4[3]", "_user_id",
	}
	for _, pattern := range files {
		matches, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(matches) == 0 {
			f.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range matches {
			value, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			for _, path := range paths {
				f.Add(value, path)
			}
		}
	}
	f.Fuzz(func(t *testing.T, value []byte, text string) {
		path, err := ParsePath(name + ": " + text)
		if err != nil {
			return
		}
		checkFind(t, value, path)
	})
}

func checkFind(t *testing.T, value []byte, path Path) {
	t.Helper()
	value = slices.Clip(value) // what reads beyond its end shall panic
	id, ok := Find(value, 0, []Path{path})
	if ok != (len(id) > 0) || len(id) > MaxID {
		t.Fatalf("%v, and an id of %d bytes", ok, len(id))
	}
	if copied, _ := Append(nil, value, 0, []Path{path}); string(copied) != string(id) {
		t.Fatalf("Find found %q, Append %q", id, copied)
	}
	if !ok {
		return
	}
	if ids, sure := treeFind(value, 0, path); sure && !slices.Contains(ids, string(id)) {
		t.Errorf("%q leads to %q, in the tree to %q", path.text, id, ids)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"user":{"id":42,"name":"a\u00e9\"b"},"x":[1,"2",{"id":"3"}]}`), "user.name")
	fuzzFormat(f, "json", "testdata/*json*.bin")
}

func FuzzPHP(f *testing.F) {
	fuzzFormat(f, "php", "../decode/testdata/*php*.bin", "testdata/*php*.bin")
}

func FuzzIgbinary(f *testing.F) {
	fuzzFormat(f, "igbinary", "../decode/testdata/igbinary.bin")
}

func FuzzMessagePack(f *testing.F) {
	fuzzFormat(f, "msgpack", "../decode/testdata/msgpack.bin", "testdata/*msgpack*.bin")
}

func FuzzPickle(f *testing.F) {
	fuzzFormat(f, "pickle", "../decode/testdata/pickle*.bin", "testdata/*pickle*.bin")
}

func FuzzMarshal(f *testing.F) {
	fuzzFormat(f, "marshal", "../decode/testdata/marshal*.bin", "testdata/*marshal*.bin")
}

func FuzzJava(f *testing.F) {
	fuzzFormat(f, "java", "../decode/testdata/java.bin")
}

func FuzzMSM(f *testing.F) {
	fuzzFormat(f, "msm", "../decode/testdata/msm*.bin")
}

// FuzzWrapped feeds arbitrary compressed values and client flags to Find.
func FuzzWrapped(f *testing.F) {
	for _, g := range golden {
		value, err := os.ReadFile(filepath.FromSlash(g.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value, g.flags)
	}
	path, err := ParsePath("php: n")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte, flags uint32) {
		id, ok := Find(slices.Clip(value), flags, []Path{path})
		if ok != (len(id) > 0) || len(id) > MaxID {
			t.Fatalf("%v, and an id of %d bytes", ok, len(id))
		}
	})
}
